import { createHmac, createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from "node:crypto";
import type { IssuedToken } from "./issue-token.ts";

/** What a logout link ends; times in milliseconds since the epoch, whole seconds. */
export interface LogoutSubject extends IssuedToken {
  readonly projectId: string;
}

/** Makes and reads the links by which users sign out. Nothing is kept of them. */
export interface LogoutLinks {
  /** The link that ends a token. */
  urlOf(subject: LogoutSubject): string;
  /** What the token of a link stands for, whether or not it has expired; undefined: it is none, was changed, or its key is gone. */
  read(token: string): LogoutSubject | undefined;
}

const PREFIX = "mlo_";
const MAC_BYTES = 32;
const ID_BYTES = 16;
const TIME_BYTES = 6;
const SECOND_MS = 1_000;
const CLAIMS_BYTES = 3 * ID_BYTES + 2 * TIME_BYTES;

/**
 * The token of a link is what it ends in clear and an HMAC-SHA-256 of it, under a key that makes nothing else: the first encryption key
 * makes it, any of them proves it. `publicUrl` is where browsers reach this instance.
 */
export function createLogoutLinks(encryptionKeys: readonly Uint8Array[], publicUrl: string): LogoutLinks {
  const derived = (key: Uint8Array) => Buffer.from(hkdfSync("sha256", key, "", "muster logout link", MAC_BYTES));
  const keys = encryptionKeys.map((key) => createSecretKey(derived(key)));
  const [first] = keys;
  if (!first) throw new RangeError("logout links need an encryption key");
  const page = `${publicUrl.replace(/\/+$/, "")}/logout`;
  return {
    urlOf(subject) {
      const claims = claimsOf(subject);
      return `${page}?token=${PREFIX}${Buffer.concat([claims, macOf(first, claims)]).toString("base64url")}`;
    },
    read(token) {
      const text = token.startsWith(PREFIX) ? token.slice(PREFIX.length) : "";
      const bytes = Buffer.from(text, "base64url");
      // Decoding is lenient; a token is the one spelling that was given out.
      if (bytes.length !== CLAIMS_BYTES + MAC_BYTES || bytes.toString("base64url") !== text) return undefined;
      const [claims, mac] = [bytes.subarray(0, CLAIMS_BYTES), bytes.subarray(CLAIMS_BYTES)];
      return keys.some((key) => timingSafeEqual(macOf(key, claims), mac)) ? subjectOf(claims) : undefined;
    },
  };
}

const macOf = (key: KeyObject, claims: Buffer): Buffer => createHmac("sha256", key).update(claims).digest();

/** Every part is of one width, so that no two subjects give the same bytes. */
function claimsOf({ projectId, userId, tokenId, issuedAt, expiresAt }: LogoutSubject): Buffer {
  const claims = Buffer.alloc(CLAIMS_BYTES);
  const ids = [projectId, userId, tokenId].map((id) => id.replaceAll("-", ""));
  const end = claims.write(ids.join(""), "hex");
  claims.writeUIntBE(issuedAt / SECOND_MS, end, TIME_BYTES);
  claims.writeUIntBE(expiresAt / SECOND_MS, end + TIME_BYTES, TIME_BYTES);
  return claims;
}

function subjectOf(claims: Buffer): LogoutSubject {
  const id = (place: number): string =>
    claims
      .toString("hex", place * ID_BYTES, (place + 1) * ID_BYTES)
      .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  const time = (place: number): number => claims.readUIntBE(3 * ID_BYTES + place * TIME_BYTES, TIME_BYTES) * SECOND_MS;
  return { projectId: id(0), userId: id(1), tokenId: id(2), issuedAt: time(0), expiresAt: time(1) };
}
