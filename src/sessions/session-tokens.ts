import { createHmac, createSecretKey, hash, timingSafeEqual } from "node:crypto";
import { readToken, spellToken } from "./opaque-token.ts";

/** 256 bits each: the seed of a session, and what is derived from it. */
export const SEED_BYTES = 32;
const SECRET_BYTES = 32;
const ID_BYTES = 16;
const COUNTER_BYTES = 5;

/**
 * The session token of a generation. All tokens of a session derive from its seed, so that one can be given again that was given before
 * without being kept.
 */
export const sessionToken = (seed: Uint8Array, generation: number): string =>
  spellToken("mst", secretOf(seed, "session", generation));

/** What a session token is found by; undefined for what is none. */
export function sessionDigest(token: string): Buffer | undefined {
  const secret = readToken("mst", token, SECRET_BYTES);
  return secret && hash("sha256", secret, "buffer");
}

/** The digest of a generation's session token: all that is kept of it. */
export const digestOfGeneration = (seed: Uint8Array, generation: number): Buffer =>
  hash("sha256", secretOf(seed, "session", generation), "buffer");

/** A refresh token, read. Nothing it says is proven yet. */
export interface ParsedRefreshToken {
  readonly sessionId: string;
  /** Which one of the session's it is, from 0. */
  readonly counter: number;
  readonly secret: Uint8Array;
}

/** The refresh token of a session with this number. */
export function refreshToken(seed: Uint8Array, sessionId: string, counter: number): string {
  const head = Buffer.alloc(ID_BYTES + COUNTER_BYTES);
  head.write(sessionId.replaceAll("-", ""), "hex");
  head.writeUIntBE(counter, ID_BYTES, COUNTER_BYTES);
  return spellToken("mrt", Buffer.concat([head, secretOf(seed, "refresh", counter)]));
}

/** Reads a refresh token; undefined for what is none. */
export function parseRefreshToken(token: string): ParsedRefreshToken | undefined {
  const bytes = readToken("mrt", token, ID_BYTES + COUNTER_BYTES + SECRET_BYTES);
  if (!bytes) return undefined;
  const id = bytes.toString("hex", 0, ID_BYTES);
  return {
    sessionId: id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5"),
    counter: bytes.readUIntBE(ID_BYTES, COUNTER_BYTES),
    secret: bytes.subarray(ID_BYTES + COUNTER_BYTES),
  };
}

/** Whether the token is one of the session that has the seed. */
export const isRefreshTokenOf = (seed: Uint8Array, { counter, secret }: ParsedRefreshToken): boolean =>
  timingSafeEqual(secretOf(seed, "refresh", counter), secret);

/** The purposes are of one length and the number is fixed in width, so that no two pairs give the same bytes. */
function secretOf(seed: Uint8Array, purpose: "session" | "refresh", number: number): Buffer {
  const place = Buffer.alloc(8);
  place.writeBigUInt64BE(BigInt(number));
  // Given as bytes, Node makes a key of them as well, at five times the cost.
  return createHmac("sha256", createSecretKey(seed)).update(purpose).update(place).digest();
}
