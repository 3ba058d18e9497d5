import type { ErrorReason } from "./gen/muster/v1/error_reason_pb.ts";

/** A reason of `error_reason.proto`, without its prefix. */
export type Reason = Exclude<keyof typeof ErrorReason, "UNSPECIFIED">;

/** The status codes in use, by their name in the Connect protocol. */
export type StatusCode =
  | "invalid_argument"
  | "unauthenticated"
  | "permission_denied"
  | "not_found"
  | "already_exists"
  | "failed_precondition"
  | "aborted"
  | "resource_exhausted"
  | "unavailable"
  | "deadline_exceeded"
  | "canceled"
  | "unimplemented"
  | "internal";

/** THE table: each reason's status code and what people read. Use cases throw a reason and nothing else. */
export const ERRORS = {
  REQUEST_INVALID: { code: "invalid_argument", message: "The request is not valid" },
  CREDENTIAL_MISSING: { code: "unauthenticated", message: "This call needs a credential" },
  CREDENTIAL_INVALID: { code: "unauthenticated", message: "The credential is not valid" },
  TOKEN_EXPIRED: { code: "unauthenticated", message: "The token has expired" },
  TOKEN_REVOKED: { code: "unauthenticated", message: "The token was revoked" },
  TOKEN_INVALID: { code: "unauthenticated", message: "The token is not valid" },
  SESSION_NOT_FOUND: { code: "unauthenticated", message: "Required session does not exist" },
  PRINCIPAL_NOT_ALLOWED: { code: "permission_denied", message: "The caller may not do this" },
  RESERVED_USER: { code: "permission_denied", message: "The caller is not a user and cannot be named as one" },
  ORIGIN_NOT_ALLOWED: { code: "permission_denied", message: "The project does not list this origin" },
  USER_NOT_FOUND: { code: "not_found", message: "No such user" },
  USER_DELETED: { code: "not_found", message: "The user was deleted" },
  TOKEN_NOT_FOUND: { code: "not_found", message: "No such token" },
  PROJECT_NOT_FOUND: { code: "not_found", message: "No such project" },
  ACCESS_KEY_NOT_FOUND: { code: "not_found", message: "No such access key" },
  LOGIN_TAKEN: { code: "already_exists", message: "Another user has this login" },
  LOCATOR_TAKEN: { code: "already_exists", message: "Another user has this email or phone" },
  EXTERNAL_ID_TAKEN: { code: "already_exists", message: "Another user has this external id" },
  ETAG_MISMATCH: { code: "aborted", message: "It has changed since it was read" },
  CONFLICT: { code: "aborted", message: "The change collided with others; try again" },
  RATE_LIMITED: { code: "resource_exhausted", message: "Too many calls; try again later" },
  MESSAGE_TOO_LARGE: { code: "resource_exhausted", message: "The message is larger than allowed" },
  STORAGE_UNAVAILABLE: { code: "unavailable", message: "What it is stored in cannot be reached; try again" },
  SHUTTING_DOWN: { code: "unavailable", message: "The server is shutting down; try again" },
  DEADLINE_EXCEEDED: { code: "deadline_exceeded", message: "The deadline passed" },
  CANCELLED: { code: "canceled", message: "The caller gave up" },
  UNIMPLEMENTED: { code: "unimplemented", message: "No such RPC" },
  INTERNAL: { code: "internal", message: "Internal error" },
  READER_STALLED: { code: "failed_precondition", message: "The stream's reader accepted nothing for too long" },
  LOCATOR_NOT_FOUND: { code: "not_found", message: "The user has no such email or phone" },
  VERIFICATION_CODE_INVALID: { code: "invalid_argument", message: "The code is not valid, or no longer" },
  USER_SUSPENDED: { code: "permission_denied", message: "The user is suspended" },
  SUSPENSION_NOT_FOUND: { code: "not_found", message: "The user has no such suspension" },
  ATTRIBUTE_DEFINITION_NOT_FOUND: { code: "not_found", message: "The project defines no such attribute" },
  AVATAR_INVALID: { code: "invalid_argument", message: "The image cannot be taken as an avatar" },
  MAIL_UNAVAILABLE: { code: "unavailable", message: "The mail could not be handed over; try again" },
  SMS_UNAVAILABLE: { code: "unavailable", message: "The text message could not be handed over; try again" },
  IDENTITY_TAKEN: { code: "already_exists", message: "Another user has this identity" },
  EXTERNAL_JWT_MISSING: { code: "invalid_argument", message: "The request has no JWT" },
  EXTERNAL_KEYS_MISSING: { code: "failed_precondition", message: "The project has no external key" },
  EXTERNAL_JWT_INVALID: { code: "unauthenticated", message: "What is to prove the user is not valid" },
  EXTERNAL_PROJECT_MISMATCH: { code: "permission_denied", message: "The JWT is for another project" },
  IDENTITY_CONFLICT: { code: "failed_precondition", message: "The identity and its email belong to different users" },
  PROVIDER_UNAVAILABLE: { code: "unavailable", message: "The identity provider cannot be reached; try again" },
  LAST_IDENTITY: { code: "failed_precondition", message: "It is the last way in that the user has" },
  PROVIDER_NOT_FOUND: { code: "not_found", message: "No such identity provider" },
  PROVIDER_TAKEN: { code: "already_exists", message: "The project has an identity provider with this id" },
  PROVIDERS_FULL: { code: "failed_precondition", message: "The project has 50 identity providers" },
  PROVIDER_IN_USE: { code: "failed_precondition", message: "Users have identities of the provider" },
  IDENTITIES_FULL: { code: "failed_precondition", message: "The user has 20 identities" },
  SIGNING_KEYS_FULL: {
    code: "failed_precondition",
    message: "The project has 16 signing keys; wait until one is gone",
  },
  SMS_NOT_CONFIGURED: { code: "failed_precondition", message: "This instance cannot send text messages" },
  CREDENTIALS_REJECTED: { code: "unauthenticated", message: "Wrong login or password" },
  PASSWORD_WEAK: { code: "invalid_argument", message: "The password is too short, too long or too common" },
  REFRESH_TOKEN_REUSED: { code: "unauthenticated", message: "The refresh token was used before; its session is ended" },
  RESET_TOKEN_INVALID: { code: "invalid_argument", message: "The link is not valid, or no longer" },
  PASSWORD_RESET_NOT_CONFIGURED: { code: "failed_precondition", message: "This instance cannot reset passwords" },
  WEBHOOK_NOT_FOUND: { code: "not_found", message: "No such webhook" },
  WEBHOOKS_FULL: { code: "failed_precondition", message: "The project has 20 webhooks" },
  EVENT_NOT_FOUND: { code: "not_found", message: "No such event" },
  WEBHOOK_DISABLED: { code: "failed_precondition", message: "The webhook is disabled" },
  WATCH_NOT_FOUND: { code: "not_found", message: "No such watch" },
  EVENT_CURSOR_EXPIRED: {
    code: "failed_precondition",
    message: "Events after the cursor are not kept any more; read the state and begin anew",
  },
} as const satisfies Record<Reason, { code: StatusCode; message: string }>;

/** One rule that one field of a request breaks. */
export interface Violation {
  /** Path of the field in the proto's names, such as `user.tags[2]`. */
  readonly field: string;
  /** What is wrong, for people to read. */
  readonly description: string;
}

/** What a failure can say beyond its reason. */
export interface ErrorExtra {
  /** Goes to the caller with the reason. Never a secret, never another project's data. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** The rules broken, for REQUEST_INVALID. */
  readonly violations?: readonly Violation[];
  /** When to try again, in milliseconds from now. */
  readonly retryAfterMs?: number;
  /** Goes to the log, never to the caller. */
  readonly cause?: unknown;
}

/** A failure with a stable reason: the only error a use case throws on purpose. */
export class MusterError extends Error {
  override readonly name = "MusterError";
  readonly reason: Reason;
  readonly extra: ErrorExtra;

  constructor(reason: Reason, extra: ErrorExtra = {}) {
    super(ERRORS[reason].message, { cause: extra.cause });
    this.reason = reason;
    this.extra = extra;
  }
}

/** A REQUEST_INVALID about one field. */
export function invalid(field: string, description: string): MusterError {
  return new MusterError("REQUEST_INVALID", { violations: [{ field, description }] });
}

/** Whether something ends because the server goes, and not for a reason of its own: whoever waits may then be told where to go on. */
export const isShuttingDown = (reason: unknown): boolean =>
  reason instanceof MusterError && reason.reason === "SHUTTING_DOWN";
