import type { PasswordHash } from "./password-hash.ts";

/** Bytes of a password that bcrypt looks at. */
const SIGNIFICANT_BYTES = 72;

/** Each step of the cost doubles the work; 14 takes about a second. */
const FORM = /^\$2[aby]\$(?:0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}$/;

/**
 * A hash of bcrypt as crypt(3) writes it. Gives what is wrong with any other text, `$2x$` included, which marks hashes of a broken
 * implementation. What goes beyond 72 bytes of a password does not count, as in the implementations that wrote such hashes; those in C end
 * a password at a NUL, so that one with a NUL in it matches none.
 */
export function parseBcrypt(text: string): PasswordHash | string {
  if (!FORM.test(text)) return "is not bcrypt ($2a$, $2b$ or $2y$) with a cost from 4 to 14";
  const hash = canonical(text);
  return {
    isCurrent: false,
    significantBytes: SIGNIFICANT_BYTES,
    async matches(password) {
      if (password.includes(0)) return false;
      // Loaded by those who have such hashes.
      const { verify } = await import("@node-rs/bcrypt");
      return verify(password.subarray(0, SIGNIFICANT_BYTES), hash);
    },
  };
}

const ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/** Where the last characters of the salt and of the hash stand, and which of their six bits count. */
const SALT_END = 28;
const HASH_END = 59;
const SALT_BITS = 0b110000;
const HASH_BITS = 0b111100;

/** The same hash without the bits that mean nothing: writers set them at will, and the library refuses them. */
function canonical(text: string): string {
  const without = (at: number, bits: number) => ALPHABET[ALPHABET.indexOf(text.charAt(at)) & bits] ?? "";
  return `${text.slice(0, SALT_END)}${without(SALT_END, SALT_BITS)}${text.slice(SALT_END + 1, HASH_END)}${without(HASH_END, HASH_BITS)}`;
}
