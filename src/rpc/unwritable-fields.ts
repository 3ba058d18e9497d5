import { type DescField, type DescMessage, getOption, hasOption, isFieldSet, type Message } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import type { FieldMask } from "@bufbuild/protobuf/wkt";
import { MusterError } from "../errors.ts";
import { Access, field_access } from "../gen/muster/v1/access_pb.ts";

/** What of a message type users may not set, and where to look further. */
interface WritePlan {
  readonly refused: readonly DescField[];
  readonly nested: readonly { readonly field: DescField; readonly plan: WritePlan }[];
}

/** Undefined: the field carries no declaration. */
const writersOf = (field: DescField): Access[] | undefined =>
  hasOption(field, field_access) ? getOption(field, field_access).write : undefined;

/** A user sets fields only of itself (the RPC's own declaration sees to that), so SELF stands for it here. */
const isRefused = (writers: Access[] | undefined): boolean =>
  writers !== undefined && writers.length > 0 && !writers.includes(Access.SELF) && !writers.includes(Access.USER);

/** What the server sets is ignored in requests, with all that is in it. */
const isIgnored = (writers: Access[] | undefined): boolean => writers?.length === 0;

function makePlan(schema: DescMessage, above: ReadonlySet<DescMessage>): WritePlan | undefined {
  // A type inside itself is a presence's `expires_to`, or a Struct.
  if (above.has(schema)) return undefined;
  const refused = schema.fields.filter((field) => isRefused(writersOf(field)));
  const nested = schema.fields.flatMap((field) => {
    if (!field.message || isIgnored(writersOf(field))) return [];
    const plan = makePlan(field.message, new Set([...above, schema]));
    return plan ? [{ field, plan }] : [];
  });
  return refused.length + nested.length > 0 ? { refused, nested } : undefined;
}

/** Gives the check that no field is set, or named by an `update_mask`, that users may not set. PRINCIPAL_NOT_ALLOWED. */
export function createWriteCheck(): (schema: DescMessage, message: Message) => void {
  // Made once per request type; the types of the contract are few and fixed.
  const plans = new Map<DescMessage, WritePlan | undefined>();
  return (schema, message) => {
    if (!plans.has(schema)) plans.set(schema, makePlan(schema, new Set()));
    const plan = plans.get(schema);
    if (plan) refuse(plan, reflect(schema, message), "", []);
  };
}

function refuse(plan: WritePlan, at: ReflectMessage, path: string, masked: readonly string[]): void {
  for (const field of plan.refused)
    if (isFieldSet(at.message, field) || masked.includes(field.name))
      throw new MusterError("PRINCIPAL_NOT_ALLOWED", { metadata: { field: `${path}${field.name}` } });
  const mask = (at.message as unknown as { updateMask?: FieldMask }).updateMask?.paths ?? [];
  for (const { field, plan: inner } of plan.nested)
    for (const nested of messagesIn(at, field)) refuse(inner, nested, `${path}${field.name}.`, mask);
}

/** The messages that a field holds: one, those of a list or the values of a map. */
function messagesIn(at: ReflectMessage, field: DescField): ReflectMessage[] {
  if (!at.isSet(field)) return [];
  if (field.fieldKind === "message") return [at.get(field)];
  if (field.fieldKind === "list") return [...at.get(field)] as ReflectMessage[];
  return field.fieldKind === "map" ? ([...at.get(field).values()] as ReflectMessage[]) : [];
}
