import { generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { invalid } from "../../errors.ts";
import { parseStrictJson } from "../../tokens/strict-json.ts";
import { boundTo, type PublicKey, type PublicKeySource, parsePublicKey, UnusableKey } from "../public-key.ts";

/** What a key is registered from. */
export type ExternalKeySource =
  | { readonly kind: "pem"; readonly pem: string }
  | { readonly kind: "jwk"; readonly jwk: string }
  | { readonly kind: "jwksUri"; readonly jwksUri: string }
  | { readonly kind: "generate"; readonly algorithm: string };

/** A single key as it is to be kept. */
export interface NewSingleKey {
  readonly publicKey: PublicKey;
  /** The one `alg` of its JWTs; undefined: any of RSA. */
  readonly algorithm: string | undefined;
  /** In PEM (PKCS #8), where it was generated. */
  readonly privateKeyPem?: string;
}

const generate = promisify(generateKeyPair);
const RSA_BITS = 2_048;
const CURVES: Readonly<Record<string, string>> = { ES256: "P-256", ES384: "P-384", ES512: "P-521" };
const MAX_DEPTH = 8;

/** The fields of a request that say of a key what is wrong with it. */
const FIELDS = { pem: "public_key_pem", jwk: "jwk" } as const;

/** Reads a key that is handed over, for `algorithm` alone where that is given. REQUEST_INVALID. */
export function readKey(source: ExternalKeySource & { kind: "pem" | "jwk" }, algorithm: string): NewSingleKey {
  const field = FIELDS[source.kind];
  const given = usable(field, () => parsePublicKey(source.kind === "pem" ? source : jwkOf(source.jwk)));
  const publicKey = algorithm ? boundTo(given, algorithm) : given;
  if (!publicKey) throw invalid("algorithm", `is none of the key's: ${given.algorithms.join(", ")}`);
  return { publicKey, algorithm: onlyAlgorithm(publicKey) };
}

const jwkOf = (text: string): PublicKeySource => ({ jwk: parseStrictJson(Buffer.from(text), MAX_DEPTH) });

/** Ed25519 goes by the two names of one algorithm. */
const onlyAlgorithm = ({ algorithms: [first, ...others] }: PublicKey): string | undefined =>
  others.length === 0 || first === "EdDSA" ? first : undefined;

function usable<T>(field: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof UnusableKey) throw invalid(field, `the key ${error.message}`);
    if (error instanceof SyntaxError) throw invalid(field, "is not a JWK in JSON");
    throw error;
  }
}

/** Makes a key pair on the thread pool; an RSA key takes some hundred milliseconds. Its `kid` is the thumbprint, which JWTs need not name. */
export async function generateKey(algorithm: string): Promise<NewSingleKey> {
  const { publicKey: made, privateKey } = await generatePair(algorithm);
  const publicKey = boundTo(parsePublicKey({ pem: String(made.export({ format: "pem", type: "spki" })) }), algorithm);
  if (!publicKey) throw new Error(`a key was generated that is not for ${algorithm}`);
  const privateKeyPem = String(privateKey.export({ format: "pem", type: "pkcs8" }));
  return { publicKey, algorithm, privateKeyPem };
}

function generatePair(algorithm: string): Promise<{ publicKey: KeyObject; privateKey: KeyObject }> {
  const namedCurve = CURVES[algorithm];
  if (namedCurve) return generate("ec", { namedCurve });
  if (algorithm === "EdDSA") return generate("ed25519");
  return generate("rsa", { modulusLength: RSA_BITS });
}
