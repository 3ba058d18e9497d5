/**
 * Why a verifier refuses a token. TOKEN_INVALID: malformed, badly signed, for somebody else, or signed by a key that is no longer valid.
 * TOKEN_EXPIRED: its life is over. TOKEN_REVOKED: the token, its session, its user's access or its key was ended. VERIFIER_STALE: it may
 * be good, but the verifier has not heard of revocations for too long to say so.
 */
export type RefusalReason = "TOKEN_INVALID" | "TOKEN_EXPIRED" | "TOKEN_REVOKED" | "VERIFIER_STALE";

const MESSAGES: Readonly<Record<RefusalReason, string>> = {
  TOKEN_INVALID: "The token is not valid",
  TOKEN_EXPIRED: "The token has expired",
  TOKEN_REVOKED: "The token was revoked",
  VERIFIER_STALE: "Revocations have not been heard of for too long to trust the token",
};

/** A token that is not let pass. `cause` says more, for the log; it is not for whoever sent the token. */
export class TokenRefused extends Error {
  override readonly name = "TokenRefused";
  readonly reason: RefusalReason;

  constructor(reason: RefusalReason, cause?: unknown) {
    super(MESSAGES[reason], { cause });
    this.reason = reason;
  }
}
