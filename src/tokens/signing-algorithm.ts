import { generateKeyPair, type JsonWebKey, type KeyObject } from "node:crypto";
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
  generate(): Promise<{ publicKey: KeyObject; privateKey: KeyObject }>;
}

const generate = promisify(generateKeyPair);
const RSA_BITS = 2_048;

/** THE table of algorithms. Keys are made on the thread pool: an RSA key takes some hundred milliseconds. */
export const ALGORITHMS: Readonly<Record<SigningAlgorithm, AlgorithmDefinition>> = {
  ED25519: { alg: "EdDSA", generate: () => generate("ed25519") },
  ES256: { alg: "ES256", generate: () => generate("ec", { namedCurve: "P-256" }) },
  RS256: { alg: "RS256", generate: () => generate("rsa", { modulusLength: RSA_BITS }) },
};

/** Makes a new key pair. */
export async function generateSigningKeyPair(algorithm: SigningAlgorithm): Promise<KeyPair> {
  const { publicKey, privateKey } = await ALGORITHMS[algorithm].generate();
  return { publicJwk: publicKey.export({ format: "jwk" }), privateJwk: privateKey.export({ format: "jwk" }) };
}
