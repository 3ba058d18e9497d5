/** Why access ended. Kept as text; on the wire the enum RevocationCause has those that watchers are told of. */
export type RevocationCause =
  | "TOKEN_REVOKED"
  | "USER_TOKENS_REVOKED"
  | "SIGNED_OUT"
  | "USER_SUSPENDED"
  | "USER_DELETED"
  | "PASSWORD_CHANGED"
  | "KEY_REVOKED"
  | "REFRESH_REUSED"
  | "ACCESS_KEY_REVOKED"
  | "PROJECT_DELETED";

/** What lost its access: names of columns, of which `Text` and `Time` are the values. */
export type Subject<Text, Time> =
  /** One JWT, by its `jti`. */
  | { readonly tokenId: Text }
  /** One session and the JWTs that were issued for it. */
  | { readonly sessionId: Text }
  /** Of a user: each JWT with an earlier `iat`, each session and refresh token that began earlier. Whole seconds. */
  | { readonly userId: Text; readonly beforeTime: Time }
  /** All that a signing key signed, by its `kid`. */
  | { readonly keyId: Text }
  /** What calls with an access key. */
  | { readonly accessKeyId: Text }
  /** All that the project let in. */
  | { readonly wholeProject: true };

export type RevocationSubject = Subject<string, Date>;

/** That access ended, as it is read. */
export interface Revocation {
  readonly projectId: string;
  readonly subject: RevocationSubject;
  readonly cause: RevocationCause;
  /** From then on all that it names has ended by itself. */
  readonly forgetAfterTime: Date;
}

const SECOND_MS = 1_000;
/** Those who verify may have clocks that are behind, or grant leeway; and what is issued just after all was ended is some seconds ahead. */
const LEEWAY_MS = 120_000;

/** The same as SQL. */
export const LEEWAY = `interval '${LEEWAY_MS} ms'`;

/** `beforeTime` for all that is there at `nowMs`: the next full second, as `iat` has whole seconds. */
export const beforeTimeAt = (nowMs: number): Date => new Date(Math.floor(nowMs / SECOND_MS) * SECOND_MS + SECOND_MS);

/** `forgetAfterTime` of what would have ended by itself at `lastEndMs`. */
export const forgetAfter = (lastEndMs: number): Date => new Date(lastEndMs + LEEWAY_MS);
