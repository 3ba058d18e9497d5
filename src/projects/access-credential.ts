import { hash, randomBytes, timingSafeEqual } from "node:crypto";
import { UUID } from "../ids.ts";

/** What is in an access key's credential, `msk_<key id>_<secret>`. */
export interface AccessCredential {
  readonly keyId: string;
  readonly secret: string;
}

/** 256 random bits, base64url. */
const SECRET = /^[A-Za-z0-9_-]{43}$/;

/** A new credential for the key, and the digest that is kept of its secret. */
export function newAccessCredential(keyId: string): { credential: string; digest: Buffer } {
  const secret = randomBytes(32).toString("base64url");
  return { credential: `msk_${keyId}_${secret}`, digest: digestOf(secret) };
}

/** Takes a credential apart; undefined where it has not the form of one. */
export function parseAccessCredential(credential: string): AccessCredential | undefined {
  const keyId = credential.slice(4, 40);
  const secret = credential.slice(41);
  const formed = credential.startsWith("msk_") && credential[40] === "_" && UUID.test(keyId) && SECRET.test(secret);
  return formed ? { keyId, secret } : undefined;
}

/** Compares in constant time. A fast hash is enough for 256 random bits. */
export const isSecret = (secret: string, digest: Buffer): boolean => timingSafeEqual(digestOf(secret), digest);

const digestOf = (secret: string): Buffer => hash("sha256", secret, "buffer");
