import { scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import type { PasswordHash } from "./password-hash.ts";
import { bytesIn, decimalIn, SALT_BYTES } from "./phc-values.ts";

/** The most memory, 128 × N × r in bytes, and the most work, N × r × p. */
const MOST_MEMORY = 128 * 1024 * 1024;
const MOST_WORK = 2 ** 21;
const HASH_BYTES = [16, 64] as const;

const FORM = /^\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([^$]+)\$([^$]+)$/;

const derive = promisify<Buffer, Buffer, number, object, Buffer>(scrypt);

/** A hash of scrypt (RFC 7914) as `$scrypt$ln=…,r=…,p=…$salt$hash`, ln being log₂ N. Gives what is wrong with any other text. */
export function parseScrypt(text: string): PasswordHash | string {
  const [, ln, rText, pText, salt64, hash64] = FORM.exec(text) ?? [];
  const log = decimalIn(ln, 1, 20);
  const r = decimalIn(rText, 1, 64);
  const p = decimalIn(pText, 1, 16);
  const salt = bytesIn(salt64, SALT_BYTES);
  const hash = bytesIn(hash64, HASH_BYTES);
  const N = 2 ** (log ?? 0);
  if (!log || !r || !p || !salt || !hash || 128 * N * r > MOST_MEMORY || N * r * p > MOST_WORK)
    return `is not scrypt with 128 × 2^ln × r ≤ ${MOST_MEMORY}, 2^ln × r × p ≤ ${MOST_WORK}, a salt of 8–64 and a hash of 16–64 bytes`;
  // OpenSSL counts its working blocks, too.
  const options = { N, r, p, maxmem: 128 * r * (N + p + 2) };
  return {
    isCurrent: false,
    significantBytes: Number.POSITIVE_INFINITY,
    matches: async (password) => timingSafeEqual(await derive(password, salt, hash.length, options), hash),
  };
}
