import { compactVerify, errors } from "jose";
import { type ParsedJwt, parseJwt } from "../tokens/strict-jwt.ts";
import { credentialRefused, readAsCredential } from "./credential-refused.ts";
import type { RemoteKeySet } from "./remote-key-sets.ts";

/** Thumbprints of a certificate and the category of a token, which some providers add: nothing follows from them. */
const FORM = { otherHeaderMembers: ["x5t", "x5t#S256", "cat"] };

/** More keys are not tried for a JWT that names none. */
const MOST_TRIED = 4;

/**
 * Reads an ID token, of which nothing is proven yet. Where it says what it is, it has to be a JWT and no more (RFC 8725 §3.11): access
 * and logout tokens of the same provider have a `typ` of their own. EXTERNAL_JWT_INVALID.
 */
export function parseIdToken(token: string): ParsedJwt {
  const jwt = readAsCredential(() => parseJwt(token, FORM));
  const { typ } = JSON.parse(String(Buffer.from(token.split(".", 1)[0] ?? "", "base64url"))) as { typ?: string };
  if (typ !== undefined && typ.toUpperCase() !== "JWT") throw credentialRefused("header: typ is that of another token");
  // RFC 8417 §2.2: it tells of events, such as a logout, and is nothing to sign in by.
  if (jwt.claims["events"] !== undefined) throw credentialRefused("it is a security event token");
  return jwt;
}

/** Has one of the keys have signed a JWT, by an algorithm that the key is for. EXTERNAL_JWT_INVALID, PROVIDER_UNAVAILABLE. */
export async function requireSignature(
  keySet: RemoteKeySet,
  token: string,
  { keyId, algorithm }: ParsedJwt,
  signal: AbortSignal | undefined,
): Promise<void> {
  const keys = await keySet.keysFor(keyId, signal);
  const able = keys.filter(({ algorithms }) => algorithms.includes(algorithm)).slice(0, MOST_TRIED);
  for (const { key } of able) if (await isSignedBy(token, key, algorithm)) return;
  throw credentialRefused(
    able.length > 0 ? "the signature is not one of the provider" : "the provider has no such key",
  );
}

async function isSignedBy(token: string, key: Parameters<typeof compactVerify>[1], algorithm: string) {
  try {
    await compactVerify(token, key, { algorithms: [algorithm] });
    return true;
  } catch (error) {
    if (error instanceof errors.JOSEError) return false;
    throw error;
  }
}
