import type { DescMessage, Message } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { MusterError, type Violation } from "../errors.ts";
import { versionOf } from "../etag.ts";
import type { Status } from "../gen/google/rpc/status_pb.ts";
import {
  UpsertOutcome,
  type UpsertUserRequest,
  UpsertUserRequestSchema,
  type UserService,
} from "../gen/muster/v1/user_service_pb.ts";
import { type ProjectCaller, projectCallerOf, scopeFor, scopeOf } from "../rpc/caller.ts";
import type { StreamRegistry } from "../rpc/open-streams.ts";
import { addLocator } from "./add-locator.ts";
import { attributesChange, definitionMessage, definitionOf } from "./attribute-message.ts";
import type { Avatars } from "./avatars/avatars.ts";
import { batchGetUsers } from "./batch-get-users.ts";
import { batchUpsertUsers, type UpsertResult } from "./batch-upsert-users.ts";
import { defineAttribute } from "./define-attribute.ts";
import { deleteAttributeDefinition } from "./delete-attribute-definition.ts";
import { deleteAvatar } from "./delete-avatar.ts";
import { type DeletionPorts, deleteUser } from "./delete-user.ts";
import { type ExportPorts, exportUser } from "./export-user.ts";
import { getUser } from "./find-user.ts";
import { liftSuspension } from "./lift-suspension.ts";
import { type ListPorts, listUsers } from "./list-users.ts";
import { listQueryOf, OTHERS } from "./list-users-message.ts";
import { locatorOf, newLocatorOf } from "./locator-message.ts";
import { removeLocator } from "./remove-locator.ts";
import { requestLocatorVerification, type VerificationPorts } from "./request-locator-verification.ts";
import type { RunningExports } from "./running-exports.ts";
import { setAvatar } from "./set-avatar.ts";
import { type SetPasswordPorts, setPassword } from "./set-password.ts";
import { type SuspensionPorts, suspendUser } from "./suspend-user.ts";
import { suspensionOf } from "./suspension-message.ts";
import { updateUser } from "./update-user.ts";
import { type UserInput, upsertUser } from "./upsert-user.ts";
import { profileChange, userMessage } from "./user-message.ts";
import { userKeyOf } from "./user-ref-message.ts";
import { verifyLocator } from "./verify-locator.ts";

export interface UserServicePorts
  extends DeletionPorts,
    SetPasswordPorts,
    SuspensionPorts,
    VerificationPorts,
    ListPorts,
    ExportPorts {
  readonly avatars: Avatars;
  /** Where open streams are kept, so that the server can end them. */
  readonly streams: Pick<StreamRegistry, "open">;
  readonly runningExports: RunningExports;
  /** Gives the declared rules that a message breaks: the items of a batch each fail alone. */
  check(schema: DescMessage, message: Message): readonly Violation[];
  /** A failure in the form it has inside an answer. */
  statusOf(error: unknown, signal: AbortSignal): Status;
}

/** UserService over its use cases. */
export function userService(ports: UserServicePorts): ServiceImpl<typeof UserService> {
  const { db } = ports;
  return {
    async upsertUser(request, context) {
      const { projectId } = projectCallerOf(context);
      const scope = scopeFor(context, projectId);
      const { user, outcome } = await upsertUser(ports, scope, await inputOf(request));
      return { user: userMessage(user), created: outcome === "created" };
    },
    async batchUpsertUsers({ users, validateOnly }, context) {
      const scope = scopeOf(context);
      const items = await Promise.all(users.map((item) => itemOf(ports, item)));
      const valid = items.filter((item): item is UserInput => !(item instanceof MusterError));
      const written = (await batchUpsertUsers(ports, scope, valid, validateOnly)).values();
      const results = items.map((item) => (item instanceof MusterError ? item : written.next().value));
      return { results: results.map((result) => resultMessage(ports, context.signal, result)) };
    },
    async getUser({ ref }, context) {
      const { projectId } = projectCallerOf(context);
      return { user: userMessage(await getUser(db, scopeFor(context, projectId), userKeyOf(ref))) };
    },
    async batchGetUsers({ refs }, context) {
      const scope = scopeOf(context);
      const { users, missing, deleted } = await batchGetUsers(db, scope, refs.map(userKeyOf));
      return {
        users: users.map(userMessage),
        missing: refs.filter((_, i) => missing.includes(i)),
        deleted: [...deleted],
      };
    },
    async listUsers(request, context) {
      const caller = projectCallerOf(context);
      const scope = scopeOf(context);
      const reader = caller.kind === "user" ? OTHERS : undefined;
      const { users, nextPageToken, total } = await listUsers(ports, scope, listQueryOf(request), reader);
      return { users: users.map(userMessage), nextPageToken, totalSize: total ?? 0 };
    },
    async updateUser({ ref, user, updateMask, etag }, context) {
      const caller = projectCallerOf(context);
      const scope = scopeOf(context);
      const change = await profileChange(user, updateMask, writerOf(caller));
      return { user: userMessage(await updateUser(ports, scope, userKeyOf(ref), change, versionOf(etag))) };
    },
    async addLocator({ ref, locator }, context) {
      const caller = projectCallerOf(context);
      const scope = scopeOf(context);
      const { verified, ...address } = await newLocatorOf(locator);
      const user = await addLocator(ports, scope, userKeyOf(ref), address, verified && caller.kind === "system");
      return { user: userMessage(user) };
    },
    async removeLocator({ ref, locator }, context) {
      const scope = scopeOf(context);
      return { user: userMessage(await removeLocator(ports, scope, userKeyOf(ref), locatorOf(locator))) };
    },
    async requestLocatorVerification({ ref, locator }, context) {
      const scope = scopeOf(context);
      await requestLocatorVerification(ports, scope, userKeyOf(ref), locatorOf(locator));
      return {};
    },
    async verifyLocator({ ref, locator, code }, context) {
      const scope = scopeOf(context);
      return { user: userMessage(await verifyLocator(ports, scope, userKeyOf(ref), locatorOf(locator), code)) };
    },
    async deleteUser({ ref }, context) {
      const caller = projectCallerOf(context);
      const scope = scopeOf(context);
      await deleteUser(ports, scope, userKeyOf(ref), caller.kind === "user");
      return {};
    },
    async defineAttribute({ definition }, context) {
      const scope = scopeOf(context);
      return { definition: definitionMessage(await defineAttribute(ports, scope, definitionOf(definition))) };
    },
    async listAttributeDefinitions(_request, context) {
      const definitions = await ports.attributes.reload(projectCallerOf(context).projectId);
      return { definitions: [...definitions.values()].map(definitionMessage) };
    },
    async deleteAttributeDefinition({ key }, context) {
      const scope = scopeOf(context);
      await deleteAttributeDefinition(ports, scope, key);
      return {};
    },
    async setAttributes({ ref, attributes }, context) {
      const caller = projectCallerOf(context);
      const scope = scopeOf(context);
      const asked = attributesChange(attributes, { whole: false, writer: writerOf(caller), path: "attributes" });
      const change = { values: {}, fields: new Set(["attributes"] as const), attributes: asked };
      return { user: userMessage(await updateUser(ports, scope, userKeyOf(ref), change)) };
    },
    async suspendUser({ ref, suspension }, context) {
      const scope = scopeOf(context);
      return { user: userMessage(await suspendUser(ports, scope, userKeyOf(ref), suspensionOf(suspension))) };
    },
    async liftSuspension({ ref, suspensionId }, context) {
      const scope = scopeOf(context);
      return { user: userMessage(await liftSuspension(ports, scope, userKeyOf(ref), suspensionId)) };
    },
    async setPassword({ ref, password }, context) {
      const scope = scopeOf(context);
      return { user: userMessage(await setPassword(ports, scope, userKeyOf(ref), password)) };
    },
    async setAvatar({ ref, image }, context) {
      const scope = scopeOf(context);
      return { user: userMessage(await setAvatar(ports, scope, userKeyOf(ref), image)) };
    },
    async deleteAvatar({ ref }, context) {
      const scope = scopeOf(context);
      return { user: userMessage(await deleteAvatar(ports, scope, userKeyOf(ref))) };
    },
    async *exportUser({ ref }, context) {
      const { projectId, ...caller } = projectCallerOf(context);
      const itself = caller.kind === "user" ? caller.userId : undefined;
      using held = new DisposableStack();
      // The end of the block alone does not do: it may never be reached where the reader leaves while the stream waits for it.
      context.signal.addEventListener("abort", () => held.dispose(), { once: true });
      if (itself) held.use(ports.runningExports.begin(projectId, itself));
      const signals = { left: context.signal, ended: held.use(ports.streams.open(context)).signal };
      for await (const chunk of exportUser(ports, { projectId, key: userKeyOf(ref), itself }, signals)) yield { chunk };
    },
  };
}

/** A user that gets this far writes of itself. */
const writerOf = ({ kind }: ProjectCaller) => (kind === "user" ? "SELF" : "SYSTEM");

const inputOf = async (request: UpsertUserRequest): Promise<UserInput> => ({
  externalId: request.externalId,
  change: await profileChange(request.user, request.updateMask, "SYSTEM"),
  passwordHash: request.passwordHash || undefined,
});

/** An item of a batch, or what is wrong with it. */
async function itemOf({ check }: UserServicePorts, item: UpsertUserRequest): Promise<UserInput | MusterError> {
  try {
    const violations = check(UpsertUserRequestSchema, item);
    if (violations.length > 0) return new MusterError("REQUEST_INVALID", { violations });
    return await inputOf(item);
  } catch (error) {
    if (error instanceof MusterError) return error;
    throw error;
  }
}

const OUTCOMES = {
  created: UpsertOutcome.CREATED,
  changed: UpsertOutcome.CHANGED,
  unchanged: UpsertOutcome.UNCHANGED,
} as const;

function resultMessage(ports: UserServicePorts, signal: AbortSignal, result: UpsertResult | undefined) {
  if (!result || result instanceof MusterError) return { error: ports.statusOf(result, signal) };
  const { user, outcome } = result;
  return { user: userMessage(user), created: outcome === "created", outcome: OUTCOMES[outcome] };
}
