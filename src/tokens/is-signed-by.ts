import { verify } from "node:crypto";
import { compactVerify, errors } from "jose";
import type { ProjectKey } from "./signing-keys.ts";

/**
 * Whether a compact JWS that has the right form and names the key's own algorithm is signed by the key. Ed25519 is checked at once: it has one
 * encoding of signatures, and the way to the thread pool and back costs a third of the check. The others are checked there, by jose.
 */
export function isSignedBy(token: string, key: ProjectKey): boolean | Promise<boolean> {
  if (key.algorithm !== "ED25519") return joseVerifies(token, key);
  const end = token.lastIndexOf(".");
  const signature = Buffer.from(token.slice(end + 1), "base64url");
  return verify(null, Buffer.from(token.slice(0, end)), key.publicKey, signature);
}

async function joseVerifies(token: string, { verifyingKey, alg }: ProjectKey): Promise<boolean> {
  try {
    await compactVerify(token, verifyingKey, { algorithms: [alg] });
    return true;
  } catch (error) {
    if (error instanceof errors.JOSEError) return false;
    throw error;
  }
}
