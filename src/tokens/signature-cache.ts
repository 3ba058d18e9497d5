import type { CryptoKey } from "jose";
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
}

const MAX_TOKENS = 10_000;
/** Longer tokens are verified each time, so that the cache stays within some 20 MB. */
const MAX_LENGTH = 2_048;

/** Makes an empty cache of at most 10,000 tokens of at most 2,048 characters. */
export function createSignatureCache<Verified = VerifiedSignature>(): SignatureCache<Verified> {
  // Two halves: a token used again moves to the young one; when that is full the old one goes.
  let young = new Map<string, Verified>();
  let old = new Map<string, Verified>();
  const put = (token: string, verified: Verified) => {
    if (token.length > MAX_LENGTH) return;
    if (young.size >= MAX_TOKENS / 2) {
      old = young;
      young = new Map();
    }
    young.set(token, verified);
  };
  return {
    put,
    get(token) {
      const recent = young.get(token);
      if (recent) return recent;
      const verified = old.get(token);
      if (verified) put(token, verified);
      return verified;
    },
  };
}
