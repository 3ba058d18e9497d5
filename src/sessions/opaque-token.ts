import { hash } from "node:crypto";

/** What an opaque token is for. One presented as another is none. */
export type TokenPrefix = "mst" | "mrt" | "mrp";

const CHECKSUM_BYTES = 4;

/**
 * An opaque token: its prefix, `_`, and in base64url its bytes with a checksum behind them, by which scanners for leaked secrets tell it from
 * chance. Bytes and checksum are a multiple of 3, so that a token has one spelling.
 */
export const spellToken = (prefix: TokenPrefix, bytes: Uint8Array): string =>
  `${prefix}_${Buffer.concat([bytes, checksumOf(prefix, bytes)]).toString("base64url")}`;

/** The bytes, `length` of them, of a token of this prefix; undefined for whatever is not spelled as one. */
export function readToken(prefix: TokenPrefix, token: string, length: number): Buffer | undefined {
  const spelled = token.slice(prefix.length + 1);
  if (!token.startsWith(`${prefix}_`) || spelled.length !== ((length + CHECKSUM_BYTES) / 3) * 4) return undefined;
  // What is not of the alphabet is left out or read as something else: such a text is then another one than the bytes'.
  const bytes = Buffer.from(spelled, "base64url").subarray(0, length);
  return spellToken(prefix, bytes) === token ? bytes : undefined;
}

const checksumOf = (prefix: TokenPrefix, bytes: Uint8Array): Buffer =>
  hash("sha256", Buffer.concat([Buffer.from(`${prefix}\0`), bytes]), "buffer").subarray(0, CHECKSUM_BYTES);
