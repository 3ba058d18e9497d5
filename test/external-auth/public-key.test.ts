import { execFileSync } from "node:child_process";
import { generateKeyPairSync, type JsonWebKey, type KeyObject } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { calculateJwkThumbprint, compactVerify } from "jose";
import { describe, expect, test } from "vitest";
import { boundTo, parsePublicKey } from "../../src/external-auth/public-key.ts";
import type { JsonObject } from "../../src/tokens/strict-json.ts";

const RSA = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const PAIRS: [name: string, publicKey: KeyObject, privateKey: KeyObject, algorithms: string[]][] = [
  ["RSA", ...pair("rsa", { modulusLength: 2_048 }), RSA],
  ["P-256", ...pair("ec", { namedCurve: "P-256" }), ["ES256"]],
  ["P-384", ...pair("ec", { namedCurve: "P-384" }), ["ES384"]],
  ["P-521", ...pair("ec", { namedCurve: "P-521" }), ["ES512"]],
  ["Ed25519", ...pair("ed25519", {}), ["EdDSA", "Ed25519"]],
];

function pair(type: string, options: object): [KeyObject, KeyObject] {
  const { publicKey, privateKey } = generateKeyPairSync(type as "rsa", options as { modulusLength: number });
  return [publicKey, privateKey];
}

const jwkOf = (key: KeyObject) => key.export({ format: "jwk" }) as JsonWebKey & JsonObject;
const pemOf = (key: KeyObject) => String(key.export({ format: "pem", type: "spki" }));
const [, rsa] = PAIRS[0] as (typeof PAIRS)[number];
const [, p256] = PAIRS[1] as (typeof PAIRS)[number];
const [, ed25519] = PAIRS[4] as (typeof PAIRS)[number];
const base64url = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64url");

describe.each(PAIRS)("a key of %s", (_, publicKey, privateKey, algorithms) => {
  test("is the same from PEM and from a JWK, for each algorithm of its kind, under the thumbprint of RFC 7638", async () => {
    const fromPem = parsePublicKey({ pem: pemOf(publicKey) });
    const fromJwk = parsePublicKey({ jwk: { ...jwkOf(publicKey), kid: "mine", use: "sig", key_ops: ["verify"] } });
    expect(fromPem.algorithms).toEqual(algorithms);
    expect([fromPem.keyId, fromJwk.keyId]).toEqual([undefined, "mine"]);
    expect(fromJwk.jwk).toEqual(fromPem.jwk);
    expect(fromJwk.key.equals(publicKey)).toBe(true);
    expect(fromPem.thumbprint).toBe(await calculateJwkThumbprint(jwkOf(publicKey) as never));
  });

  test("is refused where it is the private one", () => {
    const pem = String(privateKey.export({ format: "pem", type: "pkcs8" }));
    expect(() => parsePublicKey({ pem })).toThrow("private");
    expect(() => parsePublicKey({ jwk: jwkOf(privateKey) })).toThrow("private");
  });

  test("can be bound to one algorithm of its kind", () => {
    const key = parsePublicKey({ pem: pemOf(publicKey) });
    for (const algorithm of algorithms) expect(boundTo(key, algorithm)?.algorithms).toContain(algorithm);
    for (const algorithm of ["HS256", "none", "ES256K", ""]) expect(boundTo(key, algorithm)).toBeUndefined();
  });
});

/** RFC 7638 §3.1. */
const RFC_7638 = {
  kty: "RSA",
  n: "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
  e: "AQAB",
  alg: "RS256",
  kid: "2011-04-29",
};
/** RFC 8037 §A.2 and §A.4. */
const RFC_8037 = { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" };
const RFC_8037_JWS =
  "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

test("the examples of the RFCs have the thumbprints, and verify the signature, that stand there", async () => {
  expect(parsePublicKey({ jwk: RFC_7638 }).thumbprint).toBe("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
  const { thumbprint, key, algorithms } = parsePublicKey({ jwk: RFC_8037 });
  expect(thumbprint).toBe("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
  const { payload } = await compactVerify(RFC_8037_JWS, key, { algorithms: [...algorithms] });
  expect(new TextDecoder().decode(payload)).toBe("Example of Ed25519 signing");
});

test("a key of RSA that is bound to one of its six algorithms is for none of the others", () => {
  const bound = boundTo(parsePublicKey({ pem: pemOf(rsa) }), "PS384");
  expect(bound?.algorithms).toEqual(["PS384"]);
});

test("a certificate stands for the key in it, and PKCS #1 is read too", () => {
  const folder = mkdtempSync(join(tmpdir(), "certificate-"));
  const file = join(folder, "cert.pem");
  const generated = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-subj",
    "/CN=x",
  ];
  execFileSync("openssl", [...generated, "-keyout", join(folder, "key.pem"), "-out", file], { stdio: "ignore" });
  const certificate = readFileSync(file, "utf8");
  rmSync(folder, { recursive: true });
  expect(parsePublicKey({ pem: certificate }).algorithms).toEqual(["ES256"]);
  expect(() => parsePublicKey({ pem: certificate + certificate })).toThrow("one block");
  const pkcs1 = String(rsa.export({ format: "pem", type: "pkcs1" }));
  expect(parsePublicKey({ pem: pkcs1 }).key.equals(rsa)).toBe(true);
});

test("a JWK that names its algorithm is for that one alone", () => {
  expect(parsePublicKey({ jwk: { ...jwkOf(rsa), alg: "PS256" } }).algorithms).toEqual(["PS256"]);
  for (const alg of ["EdDSA", "Ed25519"])
    expect(parsePublicKey({ jwk: { ...jwkOf(ed25519), alg } }).algorithms).toEqual(["EdDSA", "Ed25519"]);
});

/** A JWK with a modulus of so many bits. */
const weakRsa = (bits: number): JsonObject => jwkOf(pair("rsa", { modulusLength: bits })[0]);
/** A point by its y: the eight of small order, and some that are not canonical or not on the curve. */
const point = (hex: string): JsonObject => ({
  kty: "OKP",
  crv: "Ed25519",
  x: base64url(Buffer.from(hex.padEnd(64, "0"), "hex")),
});
const { x, y } = jwkOf(p256);

const UNUSABLE: [what: string, jwk: JsonObject][] = [
  ["a symmetric key", { kty: "oct", k: base64url(Buffer.alloc(32, 1)) }],
  ["a symmetric key in an RSA coat", { ...jwkOf(rsa), k: "AA" }],
  ["RSA of 1024 bits", weakRsa(1_024)],
  ["RSA with the exponent 3", { ...jwkOf(rsa), e: "Aw" }],
  ["RSA with an even exponent", { ...jwkOf(rsa), e: "AQAC" }],
  ["RSA with an even modulus", { ...jwkOf(rsa), n: base64url(Buffer.concat([Buffer.alloc(255, 0xff), Buffer.of(2)])) }],
  ["RSA of more than 8192 bits", { kty: "RSA", e: "AQAB", n: base64url(Buffer.alloc(1_025, 0xff)) }],
  ["a point that is not on its curve", { kty: "EC", crv: "P-256", x: x ?? "", y: x ?? "" }],
  ["a point of another curve", { kty: "EC", crv: "P-384", x: x ?? "", y: y ?? "" }],
  ["secp256k1", jwkOf(pair("ec", { namedCurve: "secp256k1" })[0])],
  ["X25519", jwkOf(pair("x25519", {})[0])],
  ["Ed448", jwkOf(pair("ed448", {})[0])],
  ["Ed25519, the neutral point", point("01")],
  ["Ed25519, the point of order 2", point("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")],
  ["Ed25519, y = 0", point("00")],
  ["Ed25519, order 8", point("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")],
  ["Ed25519, order 8 again", point("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")],
  ["Ed25519, y = p", point("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")],
  ["Ed25519, not on the curve", point("02")],
  ["a key for encryption", { ...jwkOf(p256), use: "enc" }],
  ["a key for signing alone", { ...jwkOf(p256), key_ops: ["sign"] }],
  ["an algorithm of another kind", { ...jwkOf(p256), alg: "RS256" }],
  ["an algorithm of HMAC", { ...jwkOf(rsa), alg: "HS256" }],
  ["an empty kid", { ...jwkOf(p256), kid: "" }],
  ["a kid that is a number", { ...jwkOf(p256), kid: 7 }],
  ["nothing", {}],
  ["another kty", { kty: "AKP", pub: "AA" }],
];

test.each(UNUSABLE)("%s is refused", (_, jwk) => {
  expect(() => parsePublicKey({ jwk })).toThrow(/^(is|has|names|cannot) /);
});

test.each([
  ["RSA bound to PSS by its encoding", pemOf(pair("rsa-pss", { modulusLength: 2_048 })[0])],
  ["nothing", ""],
  ["no PEM", "ssh-ed25519 AAAA"],
  ["a block that is cut off", pemOf(p256).slice(0, 60)],
  ["two keys", pemOf(p256) + pemOf(rsa)],
  ["a request for a certificate", "-----BEGIN CERTIFICATE REQUEST-----\nAA==\n-----END CERTIFICATE REQUEST-----"],
  ["noise in a block", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"],
])("PEM with %s is refused", (_, pem) => {
  expect(() => parsePublicKey({ pem })).toThrow(/^(is|has|cannot) /);
});
