import type { CryptoKey } from "jose";
import { createRecent } from "../recent.ts";
import type { Mark } from "../revocations/revocations.ts";
import type { ParsedJwt } from "./strict-jwt.ts";

/**
 * Remembers which tokens have the right form and a good signature: both depend on nothing but the token and the key. What can
 * change (key taken away, time, user, revocation) is checked on every use. Holds no token longer than it is among the last used.
 */
export interface SignatureCache<Verified = VerifiedSignature> {
  /** What was found of the token. */
  get(token: string): Verified | undefined;
  put(token: string, verified: Verified): void;
}

/** The token as it was parsed and the key it verified under. */
export interface VerifiedSignature {
  readonly jwt: ParsedJwt;
  readonly key: CryptoKey;
  /** When it was last asked, with success, whether the token stands. */
  stoodAt: Mark | undefined;
}

const MAX_TOKENS = 10_000;
/** Longer tokens are verified each time, so that the cache stays within some 20 MB. */
const MAX_LENGTH = 2_048;

/** Makes an empty cache of at most 10,000 tokens of at most 2,048 characters. `keyOf` gives what a token is kept by: by default itself. */
export function createSignatureCache<Verified = VerifiedSignature>(
  keyOf = (token: string): string => token,
): SignatureCache<Verified> {
  const recent = createRecent<Verified>(MAX_TOKENS);
  return {
    get: (token) => (token.length > MAX_LENGTH ? undefined : recent.get(keyOf(token))),
    put(token, verified) {
      if (token.length <= MAX_LENGTH) recent.put(keyOf(token), verified);
    },
  };
}
