import { randomBytes, timingSafeEqual } from "node:crypto";
import { hashRaw } from "@node-rs/argon2";
import type { PasswordHash } from "./password-hash.ts";
import { bytesIn, bytesText, decimalIn, SALT_BYTES } from "./phc-values.ts";

interface Parameters {
  /** KiB. */
  readonly memory: number;
  readonly passes: number;
  readonly lanes: number;
}

/** What new passwords are hashed with. A password whose hash has less is hashed anew when it is next seen. */
const CURRENT: Parameters = { memory: 19_456, passes: 2, lanes: 1 };
const SALT_LENGTH = 16;
const HASH_LENGTH = 32;

/** The most that a hash from elsewhere may ask for: memory in KiB, and memory times passes. */
const MOST_MEMORY = 131_072;
const MOST_WORK = 524_288;
const MOST_LANES = 16;
const HASH_BYTES = [16, 64] as const;

/** The library's numbers of the types and of the versions of Argon2: its enums have no values at run time. */
const ALGORITHMS = { argon2i: 1, argon2id: 2 } as const;
const VERSIONS = { "16": 0, "19": 1 } as const;

const FORM = /^\$(argon2id?)(?:\$v=(16|19))?\$m=(\d+),t=(\d+),p=(\d+)\$([^$]+)\$([^$]+)$/;

/** A hash of argon2id or argon2i (RFC 9106); one without a version is of the first, 16. Gives what is wrong with any other text. */
export function parseArgon2(text: string): PasswordHash | string {
  const [, algorithm, version = "16", m, t, p, salt64, hash64] = FORM.exec(text) ?? [];
  const lanes = decimalIn(p, 1, MOST_LANES);
  const memory = decimalIn(m, 8 * (lanes ?? 1), MOST_MEMORY);
  const passes = decimalIn(t, 1, MOST_WORK);
  const salt = bytesIn(salt64, SALT_BYTES);
  const hash = bytesIn(hash64, HASH_BYTES);
  if (!memory || !passes || !lanes || memory * passes > MOST_WORK || !salt || !hash)
    return `is not argon2 with 8 × p ≤ m ≤ ${MOST_MEMORY}, m × t ≤ ${MOST_WORK}, p ≤ ${MOST_LANES}, a salt of 8–64 and a hash of 16–64 bytes`;
  const options = {
    algorithm: ALGORITHMS[algorithm as keyof typeof ALGORITHMS],
    version: VERSIONS[version as keyof typeof VERSIONS],
    ...optionsOf({ memory, passes, lanes }),
    salt,
    outputLen: hash.length,
  };
  return {
    isCurrent:
      algorithm === "argon2id" &&
      version === "19" &&
      memory >= CURRENT.memory &&
      passes >= CURRENT.passes &&
      hash.length >= HASH_LENGTH,
    significantBytes: Number.POSITIVE_INFINITY,
    matches: async (password) => timingSafeEqual(await hashRaw(password, options), hash),
  };
}

const optionsOf = ({ memory, passes, lanes }: Parameters) => ({
  memoryCost: memory,
  timeCost: passes,
  parallelism: lanes,
});

/** Hashes a new password, in a thread of libuv's pool. */
export async function hashWithArgon2(password: Buffer): Promise<string> {
  const salt = randomBytes(SALT_LENGTH);
  const options = {
    algorithm: ALGORITHMS.argon2id,
    version: VERSIONS["19"],
    ...optionsOf(CURRENT),
    salt,
    outputLen: HASH_LENGTH,
  };
  return textOf(salt, await hashRaw(password, options));
}

/** A hash that no password is known to have and that costs what a new password's does. */
export const unknownHash = (): string => textOf(randomBytes(SALT_LENGTH), randomBytes(HASH_LENGTH));

const textOf = (salt: Uint8Array, hash: Uint8Array): string =>
  `$argon2id$v=19$m=${CURRENT.memory},t=${CURRENT.passes},p=${CURRENT.lanes}$${bytesText(salt)}$${bytesText(hash)}`;
