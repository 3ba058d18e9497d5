import { createRecent } from "../recent.ts";

/**
 * Remembers which tokens have the right form and a good signature: both depend on nothing but the token and the key. What can
 * change (key taken away, time, user, revocation) is checked on every use. Holds no token longer than it is among the last used.
 */
export interface SignatureCache<Verified> {
  /** What was found of the token. */
  get(token: string): Verified | undefined;
  put(token: string, verified: Verified): void;
}

const MAX_TOKENS = 10_000;
/** Longer tokens are verified each time, so that the cache stays within some 20 MB. */
const MAX_LENGTH = 2_048;

/** Makes an empty cache of at most 10,000 tokens of at most 2,048 characters. `keyOf` gives what a token is kept by: by default itself. */
export function createSignatureCache<Verified>(keyOf = (token: string): string => token): SignatureCache<Verified> {
  const recent = createRecent<Verified>(MAX_TOKENS);
  return {
    get: (token) => (token.length > MAX_LENGTH ? undefined : recent.get(keyOf(token))),
    put(token, verified) {
      if (token.length <= MAX_LENGTH) recent.put(keyOf(token), verified);
    },
  };
}
