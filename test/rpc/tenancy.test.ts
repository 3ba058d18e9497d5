import { type DescMethod, type DescService, fromJson, type JsonValue } from "@bufbuild/protobuf";
import type { createClient } from "@connectrpc/connect";
import { afterAll, describe, expect, test } from "vitest";
import { EventService } from "../../src/gen/muster/v1/event_service_pb.ts";
import { ExternalAuthService } from "../../src/gen/muster/v1/external_auth_service_pb.ts";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { SERVICES } from "../../src/services.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";

const app = await startApp();
const mine = await app.project();
const theirs = await app.project();
const { id: userId, token } = await theirs.signedInUser("alice");
await theirs.system(UserService).upsertUser({ externalId: "alice", user: { name: "Secret Name" } });
await theirs.system(UserService).defineAttribute({ definition: { key: "secretName", contentTypes: ["text/plain"] } });
const config = { case: "oidc", value: { issuer: "https://secret-issuer.example", clientId: "app" } } as const;
const { key: theirExternal } = await theirs
  .system(ExternalAuthService)
  .rotateExternalKey({ key: { case: "generate", value: {} } });
for (const id of ["theirs", "shared"])
  await theirs.system(ExternalAuthService).createProvider({ provider: { id, config } });
const theirIdentity = { ref: { ref: { case: "id", value: userId } }, provider: "theirs" } as const;
const secretSubject = { case: "subject", value: "secretSubject" } as const;
await theirs.system(ExternalAuthService).linkIdentity({ ...theirIdentity, proof: secretSubject });
const suspended = await theirs
  .system(UserService)
  .suspendUser({ ref: { ref: { case: "externalId", value: "alice" } }, suspension: { reason: "secretReason" } });
const theirSuspension = suspended.user?.suspensions[0]?.id ?? "";
const signIn = { projectId: theirs.id, credential: { case: "guest", value: { name: "Secret Name" } } } as const;
const { grant: theirGrant } = await app.client(SessionService).createSession(signIn);
const theirSession = theirGrant?.session?.id ?? "";
const key = theirs.accessKey.slice(4, 40);
const { token: kept } = await theirs
  .system(TokenService)
  .issueToken({ ref: { ref: { case: "externalId", value: "alice" } } });
const theirToken = kept?.id ?? "";
const revoked = await theirs.system(TokenService).issueToken({ ref: { ref: { case: "externalId", value: "alice" } } });
const theirRevoked = revoked.token?.id ?? "";
await theirs.system(TokenService).revokeToken({ tokenId: theirRevoked });
const theirKeys = (await theirs.system(TokenService).listSigningKeys({})).keys.map(({ id }) => id);
await theirs
  .system(PresenceService)
  .setPresence({ ref: { ref: { case: "id", value: userId } }, presence: { status: "secretStatus" } });
const { webhook: theirWebhook } = await theirs
  .system(EventService)
  .createWebhook({ webhook: { url: "https://secret-receiver.example" } });
const webhookId = theirWebhook?.id ?? "";
const watching = new AbortController();
const theirStream = theirs
  .system(PresenceService)
  .watchPresence({ refs: [{ ref: { case: "id", value: userId } }] }, { signal: watching.signal });
const { value: opened } = await theirStream[Symbol.asyncIterator]().next();
const theirWatch = opened?.event.case === "opened" ? opened.event.value.watchId : "";
afterAll(() => watching.abort());

/** A request for each RPC that names another project's things, and what comes of it; a new RPC without one fails the test. */
const FOREIGN: Record<string, [request: JsonValue, outcome: string]> = {
  UpsertUser: [{ externalId: "alice" }, "answered"],
  BatchUpsertUsers: [{ users: [{ externalId: "alice" }] }, "answered"],
  GetUser: [{ ref: { id: userId } }, "USER_NOT_FOUND"],
  BatchGetUsers: [{ refs: [{ id: userId }] }, "answered"],
  ListUsers: [
    {
      filters: [
        { field: "id", operator: "OPERATOR_IN", values: [userId] },
        { field: "name", operator: "OPERATOR_STARTS_WITH", values: ["Secret"] },
      ],
    },
    "answered",
  ],
  UpdateUser: [{ ref: { id: userId }, user: { name: "x" } }, "USER_NOT_FOUND"],
  DeleteUser: [{ ref: { id: userId } }, "USER_NOT_FOUND"],
  SetAvatar: [{ ref: { id: userId }, image: "/9j/" }, "USER_NOT_FOUND"],
  DeleteAvatar: [{ ref: { id: userId } }, "USER_NOT_FOUND"],
  DefineAttribute: [{ definition: { key: "mine", contentTypes: ["text/html"] } }, "answered"],
  ListAttributeDefinitions: [{}, "answered"],
  SetAttributes: [
    { ref: { id: userId }, attributes: { mine: { contentType: "text/html", text: "x" } } },
    "USER_NOT_FOUND",
  ],
  DeleteAttributeDefinition: [{ key: "secretName" }, "ATTRIBUTE_DEFINITION_NOT_FOUND"],
  AddLocator: [
    { ref: { id: userId }, locator: { type: "LOCATOR_TYPE_EMAIL", value: "x@example.org" } },
    "USER_NOT_FOUND",
  ],
  RemoveLocator: [
    { ref: { id: userId }, locator: { type: "LOCATOR_TYPE_EMAIL", value: "alice@example.org" } },
    "USER_NOT_FOUND",
  ],
  RequestLocatorVerification: [
    { ref: { id: userId }, locator: { type: "LOCATOR_TYPE_EMAIL", value: "alice@example.org" } },
    "USER_NOT_FOUND",
  ],
  VerifyLocator: [
    { ref: { id: userId }, locator: { type: "LOCATOR_TYPE_EMAIL", value: "alice@example.org" }, code: "12345678" },
    "USER_NOT_FOUND",
  ],
  SetPassword: [{ ref: { id: userId }, password: "correct horse battery" }, "USER_NOT_FOUND"],
  SuspendUser: [{ ref: { id: userId }, suspension: { blocksSignIn: true } }, "USER_NOT_FOUND"],
  LiftSuspension: [{ ref: { id: userId }, suspensionId: theirSuspension }, "USER_NOT_FOUND"],
  ExportUser: [{ ref: { id: userId } }, "USER_NOT_FOUND"],
  CreateProject: [{ displayName: "x" }, "PRINCIPAL_NOT_ALLOWED"],
  GetProject: [{ projectId: theirs.id }, "PROJECT_NOT_FOUND"],
  ListProjects: [{}, "PRINCIPAL_NOT_ALLOWED"],
  UpdateProject: [{ projectId: theirs.id, displayName: "x" }, "PROJECT_NOT_FOUND"],
  DeleteProject: [{ projectId: theirs.id }, "PRINCIPAL_NOT_ALLOWED"],
  CreateAccessKey: [{ projectId: theirs.id }, "PROJECT_NOT_FOUND"],
  ListAccessKeys: [{ projectId: theirs.id }, "PROJECT_NOT_FOUND"],
  RevokeAccessKey: [{ keyId: key }, "ACCESS_KEY_NOT_FOUND"],
  IssueToken: [{ ref: { id: userId } }, "USER_NOT_FOUND"],
  VerifyToken: [{ token }, "answered"],
  RotateSigningKey: [{ mode: "ROTATION_MODE_REVOKE_ALL", projectId: theirs.id }, "PROJECT_NOT_FOUND"],
  ListSigningKeys: [{ projectId: theirs.id }, "PROJECT_NOT_FOUND"],
  RefreshToken: [{ projectId: theirs.id, refreshToken: theirGrant?.refreshToken ?? "" }, "PROJECT_NOT_FOUND"],
  SignUp: [{ projectId: theirs.id, login: "mallory", password: "correct horse battery" }, "PROJECT_NOT_FOUND"],
  ChangePassword: [{ oldPassword: "x", password: "correct horse battery" }, "PRINCIPAL_NOT_ALLOWED"],
  RequestPasswordReset: [{ projectId: theirs.id, email: "alice@example.org" }, "PROJECT_NOT_FOUND"],
  ResetPassword: [{ projectId: theirs.id, token: "mrp_x", password: "correct horse battery" }, "PROJECT_NOT_FOUND"],
  CreateSession: [{ projectId: theirs.id, guest: {} }, "PROJECT_NOT_FOUND"],
  GetSession: [{ sessionId: theirSession }, "SESSION_NOT_FOUND"],
  ListSessions: [{ ref: { id: userId } }, "USER_NOT_FOUND"],
  DeleteSession: [{ sessionId: theirSession }, "answered"],
  ExtendToken: [{ tokenId: theirToken }, "TOKEN_NOT_FOUND"],
  GetToken: [{ tokenId: theirToken }, "TOKEN_NOT_FOUND"],
  ListTokens: [{ ref: { id: userId } }, "USER_NOT_FOUND"],
  RevokeToken: [{ tokenId: theirToken }, "answered"],
  RevokeUserTokens: [{ ref: { id: userId } }, "answered"],
  WatchRevocations: [{}, "answered"],
  VerifyExternalUser: [{ projectId: theirs.id, userJwt: "x" }, "PROJECT_NOT_FOUND"],
  ExplainExternalToken: [{ userJwt: "x" }, "answered"],
  RotateExternalKey: [{ generate: {}, revokePrevious: true }, "answered"],
  ListExternalKeys: [{}, "answered"],
  CreateProvider: [{ provider: { id: "shared", oidc: { issuer: "https://mine.example", clientId: "x" } } }, "answered"],
  ListProviders: [{}, "answered"],
  DeleteProvider: [{ provider: "theirs", force: true }, "answered"],
  GetProvider: [{ provider: "theirs" }, "PROVIDER_NOT_FOUND"],
  UpdateProvider: [{ provider: { id: "theirs", disabled: true } }, "PROVIDER_NOT_FOUND"],
  SignInWithProvider: [{ projectId: theirs.id, provider: "theirs", credential: "x" }, "PROJECT_NOT_FOUND"],
  LinkIdentity: [{ ref: { id: userId }, provider: "theirs", subject: "secretSubject" }, "USER_NOT_FOUND"],
  ListIdentities: [{ ref: { id: userId } }, "USER_NOT_FOUND"],
  UnlinkIdentity: [{ ref: { id: userId }, provider: "theirs", subject: "secretSubject" }, "USER_NOT_FOUND"],
  SetPresence: [{ ref: { id: userId }, presence: { status: "online" } }, "USER_NOT_FOUND"],
  BatchSetPresence: [{ presences: [{ ref: { id: userId }, presence: { status: "online" } }] }, "answered"],
  GetPresence: [{ ref: { id: userId } }, "USER_NOT_FOUND"],
  BatchGetPresence: [{ refs: [{ id: userId }] }, "answered"],
  WatchPresence: [{ refs: [{ id: userId }] }, "answered"],
  CountPresence: [{}, "answered"],
  ListPresence: [{}, "answered"],
  CreateWebhook: [{ webhook: { url: "https://mine.example" } }, "answered"],
  ListWebhooks: [{}, "answered"],
  UpdateWebhook: [{ webhook: { id: webhookId, disabled: true } }, "WEBHOOK_NOT_FOUND"],
  RotateWebhookSecret: [{ webhookId, revokePrevious: true }, "WEBHOOK_NOT_FOUND"],
  DeleteWebhook: [{ webhookId }, "answered"],
  ListDeliveries: [{ webhookId }, "WEBHOOK_NOT_FOUND"],
  RedeliverEvent: [{ webhookId, eventId: userId }, "WEBHOOK_NOT_FOUND"],
  ListEvents: [{ userId }, "answered"],
  WatchEvents: [{ userId, fromOldest: true }, "answered"],
  ListAuditEntries: [{ projectId: theirs.id }, "PROJECT_NOT_FOUND"],
  UpdateWatch: [{ watchId: theirWatch, add: [{ id: userId }] }, "WATCH_NOT_FOUND"],
};

const methods = SERVICES.flatMap((service: DescService) => service.methods.map((method) => ({ service, method })));

/** What the caller of one project is told when it names the things of another. */
async function ask(service: DescService, method: DescMethod): Promise<unknown> {
  const request = fromJson(method.input, FOREIGN[method.name]?.[0] ?? {});
  const client = mine.system(service) as ReturnType<typeof createClient<DescService>>;
  const call = client[method.localName] as unknown as (message: unknown, options?: object) => Promise<unknown>;
  if (method.methodKind === "unary") return call(request);
  const ended = new AbortController();
  const seen: unknown[] = [];
  const stream = call(request, { signal: ended.signal }) as unknown as AsyncIterable<
    Record<string, { case: string } | undefined>
  >;
  for await (const message of stream) {
    seen.push(message);
    if ((message["event"] ?? message["news"])?.case === "snapshotComplete") break;
  }
  ended.abort();
  return seen;
}

/** The reason of the refusal, or `answered`; or what of the other project the answer gives away. */
async function outcomeOf(service: DescService, method: DescMethod): Promise<string> {
  const text = await ask(service, method).then(
    (answer) => JSON.stringify(answer, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value)),
    async (error: unknown) => reasonOf(Promise.reject(error as Error)),
  );
  const given = [
    "Secret Name",
    "secretName",
    "secretReason",
    "secret-issuer",
    theirExternal?.id ?? "",
    theirExternal?.keyId ?? "",
    "secretSubject",
    "secretStatus",
    "secret-receiver",
    theirs.id,
    key,
    theirRevoked,
    ...theirKeys,
  ].find((secret) => text.includes(secret));
  if (given) return `gives away ${given}`;
  return /^[A-Z_]+$/.test(text) ? text : "answered";
}

describe("with another project's ids, `.system` learns nothing and changes nothing:", () => {
  test.for(methods)("$service.name.$method.name", async ({ service, method }) => {
    expect(await outcomeOf(service, method)).toBe(FOREIGN[method.name]?.[1]);
    const refs = [{ ref: { case: "id" as const, value: userId } }];
    const { users } = await theirs.system(UserService).batchGetUsers({ refs });
    const { token: its } = await theirs.system(TokenService).getToken({ tokenId: theirToken });
    expect(its).toMatchObject({ revoked: false, userId });
    const { keys } = await app.operator(ProjectService).listAccessKeys({ projectId: theirs.id });
    expect(users).toMatchObject([
      { id: userId, name: "Secret Name", etag: "v3", suspensions: [{ id: theirSuspension }] },
    ]);
    const { session } = await theirs.system(SessionService).getSession({ sessionId: theirSession });
    expect(session?.refreshTokenExpireTime).toEqual(theirGrant?.refreshTokenExpireTime);
    const { provider: theirProvider } = await theirs.system(ExternalAuthService).getProvider({ provider: "theirs" });
    expect(theirProvider).toMatchObject({ disabled: false, config });
    expect((await theirs.system(EventService).listWebhooks({})).webhooks).toEqual([theirWebhook]);
    const external = await theirs.system(ExternalAuthService).listExternalKeys({});
    expect(external.keys).toEqual([theirExternal]);
    const { identities } = await theirs.system(ExternalAuthService).listIdentities({ ref: theirIdentity.ref });
    expect(identities).toMatchObject([{ subject: "secretSubject", userId }]);
    expect(keys.map(({ id, revokeTime }) => [id, revokeTime])).toEqual([[key, undefined]]);
  });
});

test("a token of another project is not active", async () => {
  const sessionToken = theirGrant?.sessionToken ?? "";
  expect((await mine.system(TokenService).verifyToken({ token: sessionToken })).active).toBe(false);
  expect((await theirs.system(TokenService).verifyToken({ token: sessionToken })).active).toBe(true);
  expect((await mine.system(TokenService).verifyToken({ token })).active).toBe(false);
  expect((await theirs.system(TokenService).verifyToken({ token })).active).toBe(true);
});

test("an unknown and a forbidden user are refused byte for byte alike", async () => {
  const users = mine.system(UserService);
  const nobody = "00000000-0000-7000-8000-000000000000";
  const ask = async (id: string) => {
    const { error } = await refusalOf(users.getUser({ ref: { ref: { case: "id", value: id } } }));
    const { code, rawMessage, details } = error;
    return { code, rawMessage, details };
  };
  expect(await ask(userId)).toEqual(await ask(nobody));
});
