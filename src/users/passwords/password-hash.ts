import { parseArgon2 } from "./argon2-hash.ts";
import { parseBcrypt } from "./bcrypt-hash.ts";
import { parsePbkdf2 } from "./pbkdf2-hash.ts";
import { parseScrypt } from "./scrypt-hash.ts";

/** A hash that passwords can be held against, of whatever scheme. */
export interface PasswordHash {
  /** Whether a new password would be given a hash that is no stronger than this one. */
  readonly isCurrent: boolean;
  /** How many bytes of a password count: what comes after them is not looked at. Infinity: all. */
  readonly significantBytes: number;
  /** Whether this is the password's hash. Works in libuv's pool of threads, for as long as the parameters ask for. */
  matches(password: Buffer): Promise<boolean>;
}

/** The longest text of a hash, in bytes. */
export const LONGEST_HASH = 512;

/** What reads each scheme, by what stands between the first two `$`. */
const PARSERS: ReadonlyMap<string, (text: string) => PasswordHash | string> = new Map([
  ["argon2id", parseArgon2],
  ["argon2i", parseArgon2],
  ["2a", parseBcrypt],
  ["2b", parseBcrypt],
  ["2y", parseBcrypt],
  ["scrypt", parseScrypt],
  ["pbkdf2-sha256", parsePbkdf2],
  ["pbkdf2-sha512", parsePbkdf2],
]);

/**
 * Reads a hash in PHC form (https://github.com/P-H-C/phc-string-format) or that of crypt(3), strictly: argon2id, argon2i, bcrypt, scrypt
 * and PBKDF2. Gives what is wrong with any other text, or with one that costs more to check than one sign-in may cost.
 */
export function parsePasswordHash(text: string): PasswordHash | string {
  const parse = PARSERS.get(text.split("$", 2)[1] ?? "");
  if (!parse || !text.startsWith("$")) return "is not a hash of argon2id, argon2i, bcrypt, scrypt or PBKDF2";
  if (text.length > LONGEST_HASH) return `must be at most ${LONGEST_HASH} bytes`;
  return parse(text);
}
