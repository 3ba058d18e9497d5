import { hashWithArgon2 } from "./argon2-hash.ts";
import type { PasswordHash } from "./password-hash.ts";

/** What takes time. A port, so that it can be counted. */
export interface PasswordHasher {
  /** The hash of a new password, as it is kept. */
  hash(password: Buffer): Promise<string>;
  /** Whether a password has a hash. */
  matches(hash: PasswordHash, password: Buffer): Promise<boolean>;
}

/** Hashes for real, in the threads of libuv's pool. */
export const passwordHasher: PasswordHasher = {
  hash: hashWithArgon2,
  matches: (hash, password) => hash.matches(password),
};
