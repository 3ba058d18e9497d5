import { generateKeyPair, type JsonWebKey, type KeyObject, sign } from "node:crypto";
import { promisify } from "node:util";
import type { SigningAlgorithm } from "../projects/projects.ts";

/** Public and private half of a key, as JWKs (RFC 7517). */
export interface KeyPair {
  readonly publicJwk: JsonWebKey;
  readonly privateJwk: JsonWebKey;
}

interface AlgorithmDefinition {
  /** The `alg` of token headers and of the JWKS (RFC 7518 §3.1, RFC 8037 §3.1). */
  readonly alg: string;
  /** What is signed in place of the text; Ed25519 signs the text itself. */
  readonly digest: "sha256" | null;
  generate(): Promise<{ publicKey: KeyObject; privateKey: KeyObject }>;
}

const generate = promisify(generateKeyPair);
const signAsync = promisify(sign);
const RSA_BITS = 2_048;

/** THE table of algorithms. */
export const ALGORITHMS: Readonly<Record<SigningAlgorithm, AlgorithmDefinition>> = {
  ED25519: { alg: "EdDSA", digest: null, generate: () => generate("ed25519") },
  ES256: { alg: "ES256", digest: "sha256", generate: () => generate("ec", { namedCurve: "P-256" }) },
  RS256: { alg: "RS256", digest: "sha256", generate: () => generate("rsa", { modulusLength: RSA_BITS }) },
};

/** Makes a new key pair on the thread pool: an RSA key takes some hundred milliseconds. */
export async function generateSigningKeyPair(algorithm: SigningAlgorithm): Promise<KeyPair> {
  const { publicKey, privateKey } = await ALGORITHMS[algorithm].generate();
  return { publicJwk: publicKey.export({ format: "jwk" }), privateJwk: privateKey.export({ format: "jwk" }) };
}

/**
 * The signature of a JWS (RFC 7515 §5.1). Ed25519 makes it at once: that takes less than handing it to the thread pool and back; the others
 * make it there.
 */
export function signText(algorithm: SigningAlgorithm, key: KeyObject, text: string): Buffer | Promise<Buffer> {
  const { digest } = ALGORITHMS[algorithm];
  if (algorithm === "ED25519") return sign(digest, Buffer.from(text), key);
  // An ECDSA signature is r and s side by side in a JWS (RFC 7518 §3.4), not DER.
  return signAsync(digest, Buffer.from(text), { key, dsaEncoding: "ieee-p1363" });
}
