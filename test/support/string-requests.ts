import { randomUUID } from "node:crypto";
import type { DescMethod } from "@bufbuild/protobuf";
import { RotationMode } from "../../src/gen/muster/v1/token_service_pb.ts";
import { LocatorType } from "../../src/gen/muster/v1/user_pb.ts";
import { Operator } from "../../src/gen/muster/v1/user_service_pb.ts";
import type { Init } from "./string-places.ts";

/** So many users each project has, `user 0` and so on, for calls beside each other. */
export const SLOTS = 12;
export const emailOf = (slot: number) => `user${slot}@example.org`;
export const refOf = (slot: number): Init => ({ ref: { case: "externalId", value: `user ${slot}` } });

/** An OpenID Connect provider that each project has. */
export const PROVIDER = "example";

const locatorOf = (slot: number): Init => ({ type: LocatorType.EMAIL, value: emailOf(slot) });
const PASSWORD = "correct horse battery";
const OIDC: Init = { case: "oidc", value: { issuer: "https://issuer.example", clientId: "app" } };
const NOTE: Init = { contentType: "text/plain", value: { case: "text", value: "x" } };

/** What messages are made from that a request has to have for a string to get to its place. */
const FRESH: Record<string, Init> = {
  "muster.v1.AttributeValue": NOTE,
  "muster.v1.AttributeDefinition": { key: "note", contentTypes: ["text/plain"] },
  "muster.v1.Filter": { field: "name", operator: Operator.EQUAL, values: ["x"] },
  "muster.v1.Locator": { type: LocatorType.EMAIL, value: "new@example.org" },
  "muster.v1.OidcConfig": { issuer: "https://issuer.example", clientId: "app" },
  "muster.v1.FirebaseConfig": { firebaseProjectId: "my-app" },
  "muster.v1.HttpConfig": { url: "https://api.example/check", response: { subject: "/id" } },
  "muster.v1.HttpResponseMapping": { subject: "/id" },
  "muster.v1.PasswordCredential": { identifier: { case: "login", value: "nobody" }, password: "x" },
  "muster.v1.Presence": { status: "online" },
  "muster.v1.Webhook": { url: "https://receiver.example/events" },
  "muster.v1.Suspension": { reason: "x" },
};
export const fresh = (type: string): Init => FRESH[type] ?? {};

/** What a project has that requests name. */
export interface Things {
  readonly projectId: string;
  readonly token: string;
  readonly tokenId: string;
  readonly keyId: string;
  readonly suspensionId: string;
  readonly sessionId: string;
  readonly refreshToken: string;
  readonly webhookId: string;
}

/** What a method is asked for beside its `ref`, `refs` and `project_id`, where it has to be asked for something. */
const ASKED: Record<string, (things: Things, slot: number) => Init> = {
  AddLocator: () => ({ locator: { type: LocatorType.EMAIL, value: "one.more@example.org" } }),
  BatchSetPresence: (_, slot) => ({ presences: [{ ref: refOf(slot), presence: { status: "online" } }] }),
  BatchUpsertUsers: () => ({ users: [{}] }),
  ChangePassword: () => ({ oldPassword: "x", password: PASSWORD }),
  CreateSession: () => ({ credential: { case: "guest", value: {} } }),
  CreateProject: () => ({ displayName: "P" }),
  CreateProvider: () => ({ provider: { id: `p-${randomUUID()}`, config: OIDC } }),
  CreateWebhook: () => ({ webhook: fresh("muster.v1.Webhook") }),
  DefineAttribute: () => ({ definition: fresh("muster.v1.AttributeDefinition") }),
  DeleteAttributeDefinition: () => ({ key: "spare" }),
  DeleteProvider: () => ({ provider: "spare" }),
  DeleteWebhook: () => ({ webhookId: randomUUID() }),
  DeleteSession: ({ sessionId }) => ({ sessionId }),
  ExplainExternalToken: () => ({ userJwt: "x" }),
  ExtendToken: ({ tokenId }) => ({ tokenId }),
  GetProvider: () => ({ provider: PROVIDER }),
  GetToken: ({ tokenId }) => ({ tokenId }),
  GetSession: ({ sessionId }) => ({ sessionId }),
  LinkIdentity: () => ({ provider: PROVIDER, proof: { case: "subject", value: randomUUID() } }),
  LiftSuspension: ({ suspensionId }) => ({ suspensionId }),
  RefreshToken: ({ refreshToken }) => ({ refreshToken }),
  RemoveLocator: (_, slot) => ({ locator: locatorOf(slot) }),
  RequestLocatorVerification: (_, slot) => ({ locator: locatorOf(slot) }),
  RequestPasswordReset: () => ({ email: "nobody@example.org" }),
  ResetPassword: () => ({ token: "x", password: PASSWORD }),
  RevokeAccessKey: ({ keyId }) => ({ keyId }),
  RevokeToken: ({ tokenId }) => ({ tokenId }),
  RotateExternalKey: () => ({ key: { case: "generate", value: {} } }),
  ListDeliveries: ({ webhookId }) => ({ webhookId }),
  RedeliverEvent: ({ webhookId }) => ({
    webhookId,
    which: { case: "range", value: { fromTime: { seconds: 4_000_000_000n } } },
  }),
  RotateWebhookSecret: ({ webhookId }) => ({ webhookId }),
  RotateSigningKey: () => ({ mode: RotationMode.GRACEFUL }),
  SetAttributes: () => ({ attributes: { note: NOTE } }),
  SetAvatar: () => ({ image: new Uint8Array([1]) }),
  SetPassword: () => ({ password: PASSWORD }),
  SetPresence: () => ({ presence: { status: "online" } }),
  SignInWithProvider: () => ({ provider: PROVIDER, credential: "x" }),
  SignUp: () => ({ email: `${randomUUID()}@example.org`, password: PASSWORD }),
  SuspendUser: () => ({ suspension: fresh("muster.v1.Suspension") }),
  UnlinkIdentity: () => ({ provider: PROVIDER, subject: "nobody" }),
  UpdateProject: () => ({ displayName: "P" }),
  UpdateProvider: () => ({ provider: { id: PROVIDER, config: OIDC } }),
  UpdateWebhook: ({ webhookId }) => ({ webhook: { ...fresh("muster.v1.Webhook"), id: webhookId } }),
  UpdateUser: () => ({ user: {} }),
  VerifyExternalUser: () => ({ userJwt: "x" }),
  UpdateWatch: () => ({ watchId: "none" }),
  VerifyLocator: (_, slot) => ({ locator: locatorOf(slot), code: "00000000" }),
  VerifyToken: ({ token }) => ({ token }),
};

/** Those that cannot be answered without more than a request: what they fail for once all their strings have been taken. */
export const FAILS: Record<string, string> = {
  ChangePassword: "CREDENTIALS_REJECTED",
  ResetPassword: "RESET_TOKEN_INVALID",
  SetAvatar: "AVATAR_INVALID",
  VerifyExternalUser: "EXTERNAL_JWT_INVALID",
  SignInWithProvider: "EXTERNAL_JWT_INVALID",
  UpdateWatch: "WATCH_NOT_FOUND",
  VerifyLocator: "VERIFICATION_CODE_INVALID",
};

/** A request that the method answers. */
export function requestOf(method: DescMethod, things: Things, slot: number, namesProject: boolean): Init {
  const has = (name: string) => method.input.fields.some((field) => field.name === name);
  return {
    ...(has("ref") && { ref: refOf(slot) }),
    ...(has("refs") && { refs: [refOf(slot)] }),
    ...(namesProject && has("project_id") && { projectId: things.projectId }),
    ...ASKED[method.name]?.(things, slot),
  };
}
