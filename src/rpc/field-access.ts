import {
  clearField,
  type DescField,
  type DescMessage,
  type DescMethod,
  getOption,
  hasOption,
  type Message,
} from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import { Access, access, field_access, subject_field } from "../gen/muster/v1/access_pb.ts";
import { CALLER, type Caller } from "./caller.ts";
import { followMessages } from "./follow-messages.ts";
import { inspectRequest } from "./inspect-request.ts";
import type { AnyAnswer, Settled } from "./settle.ts";
import { createWriteCheck } from "./unwritable-fields.ts";

/** What of a message type a kind of caller may not read, and where to look further. */
interface ReadPlan {
  readonly hidden: readonly DescField[];
  /** Hidden unless the message is about the caller itself. */
  readonly private: readonly DescField[];
  /** Maps of which each entry has readers of its own. */
  readonly byEntry: readonly DescField[];
  /** Whether there are such maps in it, however deep. */
  readonly hasEntries: boolean;
  readonly nested: readonly { readonly field: DescField; readonly plan: ReadPlan }[];
  /** The field that holds the id of the user the message is about. */
  readonly subject: DescField | undefined;
}

type Fields = Record<string, unknown>;

/** Whether a user sees the entry of this key; `aboutItself`: of a message that is about the user. */
export type MayReadEntry = (key: string, aboutItself: boolean) => boolean;

export interface FieldAccessPorts {
  /** What a project says of the entries of maps that are declared `by_entry`. */
  entryReader(projectId: string): Settled<MayReadEntry>;
}

/** Whom an answer goes to. */
interface Viewer {
  /** Whether it is about the user of this id. */
  isSelf(userId: unknown): boolean;
  readonly mayReadEntry: MayReadEntry;
}

/**
 * Enforces `field_access`: refuses fields the caller may not set, and empties those it may not see. Which entries of a map a user
 * sees is taken away here too, though the project says it and not the declaration: no answer, of whatever RPC, gets round it.
 */
export function limitFieldAccess(ports: FieldAccessPorts): Interceptor {
  // Made once per answer type; the types of the contract are few and fixed.
  const plans = new Map<DescMessage, ReadPlan | undefined>();
  const planFor = (schema: DescMessage): ReadPlan | undefined => {
    if (!plans.has(schema)) plans.set(schema, makePlan(schema, new Set()));
    return plans.get(schema);
  };
  // What is open to `.anonymous` gives its user to who has just proved to be that one, whoever called. To read an option decodes it.
  const signIns = new Map<DescMethod, boolean>();
  const isSignIn = (method: DescMethod): boolean => {
    let known = signIns.get(method);
    if (known === undefined) {
      known = getOption(method, access).allow.includes(Access.ANONYMOUS);
      signIns.set(method, known);
    }
    return known;
  };
  const copies = new WeakMap<Message, Message>();
  const check = createWriteCheck();
  return (next) => (request) => {
    const caller = request.contextValues.get(CALLER);
    if (caller.kind !== "user" && caller.kind !== "anonymous") return next(request);
    const plan = planFor(request.method.output);
    return plan ? limit(next, request, caller, plan) : inspect(next, request);
  };

  function inspect(next: Next, request: Request) {
    return inspectRequest(next, request, (message) => check(request.method.input, message));
  }

  function limit(next: Next, request: Request, caller: LimitedCaller, plan: ReadPlan): ReturnType<Next> {
    const signsIn = isSignIn(request.method);
    const isSelf = (userId: unknown) => signsIn || (caller.kind === "user" && userId === caller.userId);
    const projectId = caller.kind === "user" ? caller.projectId : projectOf(request.message);
    const show = <M extends Message>(message: M, shared?: typeof copies): Settled<M> => {
      const reader = plan.hasEntries ? ports.entryReader(projectId) : NO_ENTRY;
      if (reader instanceof Promise)
        return reader.then((mayReadEntry) => visible(plan, message, { isSelf, mayReadEntry }));
      return visible(plan, message, { isSelf, mayReadEntry: reader }, shared);
    };
    const limited = (answer: AnyAnswer): Settled<AnyAnswer> => {
      if (answer.stream) {
        // Without entries the same may be shown to many.
        const change = (message: Message) => show(message, plan.hasEntries ? undefined : copies);
        return { ...answer, message: followMessages(answer.message, { change }) };
      }
      const shown = show(answer.message);
      return shown instanceof Promise
        ? shown.then((message) => ({ ...answer, message }))
        : { ...answer, message: shown };
    };
    const answered: Settled<AnyAnswer> = inspect(next, request);
    return (answered instanceof Promise ? answered.then(limited) : limited(answered)) as ReturnType<Next>;
  }
}

type Next = ReturnType<Interceptor>;
type Request = Parameters<Next>[0];
type LimitedCaller = Extract<Caller, { kind: "user" | "anonymous" }>;

const NO_ENTRY: MayReadEntry = () => false;

/** The project that a call without a credential names. */
const projectOf = (request: unknown): string => String((request as { projectId?: string }).projectId ?? "");

const accessOf = (field: DescField) => (hasOption(field, field_access) ? getOption(field, field_access) : undefined);

/** What users may not read. `.system` and the operator read everything of what they may call. */
function makePlan(schema: DescMessage, above: ReadonlySet<DescMessage>): ReadPlan | undefined {
  // A type inside itself is a presence's `expires_to`, which holds nothing private.
  if (above.has(schema)) return undefined;
  const restricted = schema.fields.filter((field) => !(accessOf(field)?.read.includes(Access.USER) ?? true));
  const nested = schema.fields.flatMap((field) => {
    const plan = field.message && makePlan(field.message, new Set([...above, schema]));
    return plan ? [{ field, plan }] : [];
  });
  const byEntry = schema.fields.filter((field) => accessOf(field)?.byEntry);
  if (restricted.length + byEntry.length + nested.length === 0) return undefined;
  const forSelf = (field: DescField) => accessOf(field)?.read.includes(Access.SELF) ?? false;
  const subject = hasOption(schema, subject_field) ? getOption(schema, subject_field) : undefined;
  return {
    hidden: restricted.filter((field) => !forSelf(field)),
    private: restricted.filter(forSelf),
    byEntry,
    hasEntries: byEntry.length > 0 || nested.some(({ plan }) => plan.hasEntries),
    nested,
    subject: schema.fields.find((field) => field.name === subject),
  };
}

/**
 * The message with only what the user may see: a copy, as streams may share messages. Where nobody but the user that it is about sees more of
 * it, the others get the same copy, if `copies` of those that were made are given.
 */
function visible<M extends Message>(plan: ReadPlan, message: M, viewer: Viewer, copies?: WeakMap<Message, Message>): M {
  const isOneForAll = copies && plan.byEntry.length + plan.nested.length === 0;
  if (!isOneForAll || isAbout(plan, message, viewer)) return copied(plan, message, viewer, copies);
  let copy = copies.get(message);
  // What was copied may not change, or others would be told what was.
  if (!copy) copies.set(Object.freeze(message), (copy = copied(plan, message, viewer, copies)));
  return copy as M;
}

/** Whether it is about the viewer itself. */
const isAbout = ({ subject }: ReadPlan, message: Message, viewer: Viewer): boolean =>
  subject !== undefined && viewer.isSelf((message as unknown as Fields)[subject.localName]);

function copied<M extends Message>(plan: ReadPlan, message: M, viewer: Viewer, copies?: WeakMap<Message, Message>): M {
  const copy = Object.assign(Object.create(Object.getPrototypeOf(message) as object), message) as M;
  const aboutItself = isAbout(plan, message, viewer);
  for (const field of plan.hidden) clearField(copy, field);
  if (!aboutItself) for (const field of plan.private) clearField(copy, field);
  for (const { localName } of plan.byEntry) {
    const entries = Object.entries((copy as unknown as Fields)[localName] as Fields);
    const seen = entries.filter(([key]) => viewer.mayReadEntry(key, aboutItself));
    (copy as unknown as Fields)[localName] = Object.fromEntries(seen);
  }
  for (const { field, plan: inner } of plan.nested)
    replace(copy, field, (nested) => visible(inner, nested, viewer, copies));
  return copy;
}

function replace(message: Message, field: DescField, change: (nested: Message) => Message): void {
  const holder = (field.oneof ? (message as unknown as Fields)[field.oneof.localName] : message) as Fields | undefined;
  if (field.oneof) {
    const chosen = holder as { case?: string; value?: Message } | undefined;
    if (chosen?.case === field.localName && chosen.value)
      (message as unknown as Fields)[field.oneof.localName] = { case: chosen.case, value: change(chosen.value) };
    return;
  }
  const value = holder?.[field.localName];
  if (value === undefined) return;
  (message as unknown as Fields)[field.localName] = Array.isArray(value)
    ? value.map((item: Message) => change(item))
    : change(value as Message);
}
