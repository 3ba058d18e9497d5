import { invalid, MusterError, type Reason } from "../errors.ts";

/** The reason each unique constraint stands for. One that is missing here is a fault of the server: INTERNAL. */
const UNIQUE: Readonly<Record<string, [Reason, Record<string, string>?]>> = {
  users_login: ["LOGIN_TAKEN"],
  users_login_skeleton: ["LOGIN_TAKEN"],
  users_email: ["LOCATOR_TAKEN", { type: "email" }],
  users_phone: ["LOCATOR_TAKEN", { type: "phone" }],
  locators_email: ["LOCATOR_TAKEN", { type: "email" }],
  locators_phone: ["LOCATOR_TAKEN", { type: "phone" }],
  users_external_id: ["EXTERNAL_ID_TAKEN"],
  providers_pkey: ["PROVIDER_TAKEN"],
  identities_pkey: ["IDENTITY_TAKEN"],
};

/** The reason each foreign key stands for when the row it points at is gone. */
const FOREIGN_KEY: Readonly<Record<string, Reason>> = {
  users_project_id_fkey: "PROJECT_NOT_FOUND",
  access_keys_project_id_fkey: "PROJECT_NOT_FOUND",
  signing_keys_project_id_fkey: "PROJECT_NOT_FOUND",
  external_keys_project_id_fkey: "PROJECT_NOT_FOUND",
  external_jwts_project_id_fkey: "PROJECT_NOT_FOUND",
  webhooks_project_id_fkey: "PROJECT_NOT_FOUND",
  tokens_user: "USER_NOT_FOUND",
  presences_user: "USER_NOT_FOUND",
  sessions_user: "USER_NOT_FOUND",
  password_resets_user: "USER_NOT_FOUND",
  identities_user: "USER_NOT_FOUND",
  identities_provider: "PROVIDER_NOT_FOUND",
};

/** The rule of a request that each check in the database stands for; the check itself names the field. */
const CHECK: Readonly<Record<string, string>> = {
  users_attributes_defined: "is not defined",
  users_attributes_size: "must be at most 65,536 bytes in all as JSON",
  users_locators: "may be at most 20 emails and phones",
};

/** What to wait before trying again when the database is away. */
const RETRY_AFTER_MS = 1_000;

/** SQLSTATE classes and codes that say the server is away or going: 08 connection, 53 resources, 57P0x shutdown. */
const AWAY = /^(08|53|57P0)/;
/** What the driver says when the server cannot be reached. */
const UNREACHABLE = /^(ECONN|EPIPE|ENOENT|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|ENOTFOUND)/;
const LOST =
  /connection terminated|connection ended|timeout exceeded when trying to connect|not queryable|connection error/i;

/** A transaction that lost against another one and may simply be run again. */
export const isSerializationFailure = (error: unknown): boolean => ["40001", "40P01"].includes(codeOf(error));

/**
 * Turns what the driver or MikroORM throws into a reason, or into the signal's own reason where the caller gave up.
 * What it does not know it gives back as it is: INTERNAL, with the cause in the log.
 */
export function storageError(error: unknown, signal?: AbortSignal): unknown {
  if (error instanceof MusterError) return error;
  if (signal?.aborted) return signal.reason;
  const code = codeOf(error);
  const constraint = (error as { constraint?: string }).constraint ?? "";
  if (code === "23505" && UNIQUE[constraint]) {
    const [reason, metadata] = UNIQUE[constraint];
    return new MusterError(reason, { ...(metadata && { metadata }), cause: error });
  }
  if (code === "23503" && FOREIGN_KEY[constraint]) return new MusterError(FOREIGN_KEY[constraint], { cause: error });
  if (code === "23514" && CHECK[constraint])
    return invalid(String((error as { detail?: string }).detail), CHECK[constraint]);
  if (isSerializationFailure(error)) return new MusterError("CONFLICT", { cause: error });
  // A statement or lock timeout: the database is there and cannot keep up.
  if (code === "57014" || code === "55P03" || AWAY.test(code) || UNREACHABLE.test(code) || LOST.test(messageOf(error)))
    return new MusterError("STORAGE_UNAVAILABLE", { retryAfterMs: RETRY_AFTER_MS, cause: error });
  return error;
}

const codeOf = (error: unknown): string => String((error as { code?: unknown })?.code ?? "");
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
