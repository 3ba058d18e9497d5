import { createHash, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import type { JsonObject } from "../tokens/strict-json.ts";
import { isSafeEd25519Point } from "./ed25519-point.ts";

/** A public key that signatures of somebody else may be verified by. */
export interface PublicKey {
  /** What jose takes. */
  readonly key: KeyObject;
  /** The public members of the JWK alone (RFC 7518 §6), without `kid`, `alg` and `use`. */
  readonly jwk: Readonly<Record<string, string>>;
  /** The `kid` that it came with. */
  readonly keyId: string | undefined;
  /** Every `alg` that what it signs may have; the first is what it is known by. */
  readonly algorithms: readonly string[];
  /** SHA-256 (RFC 7638). */
  readonly thumbprint: string;
}

/** What keys come as. */
export type PublicKeySource = { readonly pem: string } | { readonly jwk: JsonObject };

/** A key cannot be used; the message says why, and continues "the key …". */
export class UnusableKey extends Error {
  override readonly name = "UnusableKey";
}

const RSA_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
/** By `kty` and `crv`. RFC 9864 calls Ed25519 by its name where RFC 8037 says EdDSA: the two are one. */
const CURVE_ALGORITHMS: Readonly<Record<string, readonly string[]>> = {
  "EC P-256": ["ES256"],
  "EC P-384": ["ES384"],
  "EC P-521": ["ES512"],
  "OKP Ed25519": ["EdDSA", "Ed25519"],
};
const MIN_RSA_BITS = 2_048;
const MAX_RSA_BITS = 8_192;
const MIN_EXPONENT = 65_537n;
const MAX_KEY_ID_LENGTH = 255;
/** The members that make a key private or symmetric (RFC 7518 §6.2.2, §6.3.2, §6.4). */
const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/**
 * Reads a public key and holds it to the rules: RSA of 2,048 to 8,192 bits with an odd exponent from 65,537 on, P-256, P-384, P-521 or
 * Ed25519, the point on its curve. Neither a private nor a symmetric one. Throws UnusableKey.
 */
export function parsePublicKey(source: PublicKeySource): PublicKey {
  const key = "pem" in source ? keyOfPem(source.pem) : keyOfJwk(source.jwk);
  const jwk = publicMembers(key);
  const possible = algorithmsOf(key, jwk);
  const { algorithms, keyId } =
    "pem" in source ? { algorithms: possible, keyId: undefined } : saidBy(source.jwk, possible);
  return { key, jwk, keyId, algorithms, thumbprint: thumbprintOf(jwk) };
}

/** The same key for one algorithm alone; undefined if it is none of the key's. */
export function boundTo(key: PublicKey, algorithm: string): PublicKey | undefined {
  const name = algorithm === "Ed25519" ? "EdDSA" : algorithm;
  if (!key.algorithms.includes(name)) return undefined;
  return { ...key, algorithms: name === "EdDSA" ? ["EdDSA", "Ed25519"] : [name] };
}

function keyOfPem(pem: string): KeyObject {
  const labels = [...pem.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----/g)].map(([, label = ""]) => label);
  if (labels.some((label) => label.includes("PRIVATE"))) throw new UnusableKey("is a private one: keep it to yourself");
  if (labels.length !== 1) throw new UnusableKey("is not one block of PEM");
  const [label = ""] = labels;
  if (!["PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE"].includes(label))
    throw new UnusableKey("is neither -----BEGIN PUBLIC KEY----- nor a certificate");
  return readable(() => (label === "CERTIFICATE" ? new X509Certificate(pem).publicKey : createPublicKey(pem)));
}

function keyOfJwk(jwk: JsonObject): KeyObject {
  if (jwk["kty"] === "oct") throw new UnusableKey("is a symmetric one (HMAC)");
  if (PRIVATE_MEMBERS.some((name) => name in jwk)) throw new UnusableKey("is a private one: keep it to yourself");
  const { kty, crv, n, e, x, y } = jwk;
  const members = Object.entries({ kty, crv, n, e, x, y }).filter(([, value]) => value !== undefined);
  return readable(() => createPublicKey({ key: Object.fromEntries(members) as never, format: "jwk" }));
}

function readable(read: () => KeyObject): KeyObject {
  try {
    return read();
  } catch {
    throw new UnusableKey("cannot be read, or its point is not on the curve");
  }
}

/** The members in the one spelling that there is, in the order of their names. */
function publicMembers(key: KeyObject): Record<string, string> {
  const type = key.asymmetricKeyType ?? "";
  if (type === "rsa-pss") throw new UnusableKey("is bound to RSASSA-PSS by its encoding: encode it as rsaEncryption");
  if (!["rsa", "ec", "ed25519"].includes(type)) throw new UnusableKey(`is of a type that is not taken (${type})`);
  const members = readableJwk(key);
  return Object.fromEntries(Object.entries(members).toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

function readableJwk(key: KeyObject): Record<string, string> {
  try {
    return key.export({ format: "jwk" }) as Record<string, string>;
  } catch {
    throw new UnusableKey("is on a curve that is not taken");
  }
}

/** Every algorithm that keys like this one are for. */
function algorithmsOf({ asymmetricKeyDetails }: KeyObject, jwk: Record<string, string>): readonly string[] {
  if (jwk["kty"] === "RSA") {
    checkRsa(jwk, asymmetricKeyDetails?.modulusLength ?? 0, asymmetricKeyDetails?.publicExponent ?? 0n);
    return RSA_ALGORITHMS;
  }
  const algorithms = CURVE_ALGORITHMS[`${jwk["kty"]} ${jwk["crv"]}`];
  if (!algorithms) throw new UnusableKey("is on a curve that is not taken");
  if (jwk["crv"] === "Ed25519" && !isSafeEd25519Point(Buffer.from(jwk["x"] ?? "", "base64url")))
    throw new UnusableKey("cannot be read, or its point is not on the curve");
  return algorithms;
}

function checkRsa({ n = "" }: Record<string, string>, bits: number, exponent: bigint): void {
  if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS)
    throw new UnusableKey(`has ${bits} bits: RSA keys have ${MIN_RSA_BITS} to ${MAX_RSA_BITS}`);
  if (exponent < MIN_EXPONENT || exponent % 2n === 0n)
    throw new UnusableKey("has a weak exponent: it must be odd and at least 65537");
  const modulus = BigInt(`0x${Buffer.from(n, "base64url").toString("hex")}`);
  if (modulus % 2n === 0n || exponent >= modulus) throw new UnusableKey("has no modulus of RSA");
}

/** What a JWK says of itself besides (RFC 7517 §4): it may be for less than keys like it are. */
function saidBy({ alg, use, key_ops: operations, kid }: JsonObject, possible: readonly string[]) {
  if (use !== undefined && use !== "sig") throw new UnusableKey("is not for signatures (use)");
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes("verify")))
    throw new UnusableKey("is not for verifying (key_ops)");
  if (kid !== undefined && (typeof kid !== "string" || kid === "" || kid.length > MAX_KEY_ID_LENGTH))
    throw new UnusableKey("has a kid that is not 1 to 255 characters");
  if (alg === undefined) return { algorithms: possible, keyId: kid };
  if (typeof alg !== "string" || !possible.includes(alg)) throw new UnusableKey("names an alg that it is not for");
  return { algorithms: possible.includes("EdDSA") ? possible : [alg], keyId: kid };
}

/** RFC 7638 §3: the required members in the order of their names. */
function thumbprintOf(jwk: Record<string, string>): string {
  const { crv, e, kty, n, x, y } = jwk;
  return createHash("sha256").update(JSON.stringify({ crv, e, kty, n, x, y })).digest("base64url");
}
