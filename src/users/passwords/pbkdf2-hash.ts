import { pbkdf2, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import type { PasswordHash } from "./password-hash.ts";
import { bytesIn, decimalIn, SALT_BYTES } from "./phc-values.ts";

const MOST_ITERATIONS = 2_000_000;

/** The names of the digests, and their lengths in bytes: each further block of a hash would cost all iterations again. */
const DIGESTS = { sha256: 32, sha512: 64 } as const;

/** As PHC has it, `i=` and perhaps `l=`, the length of the hash; or as Python's passlib does, a bare number. */
const FORM = /^\$pbkdf2-(sha256|sha512)\$(?:i=(\d+)(?:,l=(\d+))?|(\d+))\$([^$]+)\$([^$]+)$/;

const derive = promisify(pbkdf2);

/** A hash of PBKDF2 (RFC 8018 §5.2) with HMAC-SHA-256 or HMAC-SHA-512. Gives what is wrong with any other text. */
export function parsePbkdf2(text: string): PasswordHash | string {
  const [, name, i, length, bare, saltText, hashText] = FORM.exec(text) ?? [];
  const digest = name as keyof typeof DIGESTS;
  const spelling = bare === undefined ? asWritten : fromPasslib;
  const iterations = decimalIn(i ?? bare, 1, MOST_ITERATIONS);
  const salt = bytesIn(spelling(saltText), SALT_BYTES);
  const hash = bytesIn(spelling(hashText), [16, DIGESTS[digest] ?? 0]);
  if (!iterations || !salt || !hash || (length !== undefined && length !== String(hash.length)))
    return `is not PBKDF2 with 1–${MOST_ITERATIONS} iterations, a salt of 8–64 bytes and a hash of 16 bytes to the digest's length`;
  return {
    isCurrent: false,
    significantBytes: Number.POSITIVE_INFINITY,
    matches: async (password) => timingSafeEqual(await derive(password, salt, iterations, hash.length, digest), hash),
  };
}

const asWritten = (text: string | undefined): string | undefined => text;

/** passlib writes base64 with `.` in place of `+`. */
const fromPasslib = (text: string | undefined): string | undefined =>
  text?.includes("+") ? undefined : text?.replaceAll(".", "+");
