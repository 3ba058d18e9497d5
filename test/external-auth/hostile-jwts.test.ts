import { createHmac, createPublicKey } from "node:crypto";
import { describe, expect, test } from "vitest";
import { reasonOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { encode, keyPair, projectWithKey, signatureOf, signJws } from "./external-fixture.ts";

const app = await startApp();
const rsa = keyPair("RS256");
const ec = keyPair("ES256");
const attacker = keyPair("RS256");
const byRsa = await projectWithKey(app, {}, rsa);
const byEc = await projectWithKey(app, {}, ec);
// Of RSA any of the six algorithms is open.
await byRsa.system.rotateExternalKey({ key: { case: "publicKeyPem", value: rsa.pem }, revokePrevious: true });

const now = Math.floor(app.clock.now() / 1_000);
const claimsOf = (projectId: string) => ({ iss: projectId, sub: "mallory", iat: now, exp: now + 300 });
const RSA_CLAIMS = claimsOf(byRsa.project.id);
const EC_CLAIMS = claimsOf(byEc.project.id);
/** A good JWT but for its header, signed by the right key: only the form can be refused. */
const withHeader = (header: unknown) => signJws(rsa, header, RSA_CLAIMS);
const withClaims = (claims: unknown) => signJws(rsa, { alg: "RS256" }, claims);
const good = withHeader({ alg: "RS256", typ: "JWT" });
const [H = "", C = "", S = ""] = good.split(".");
const goodEc = signJws(ec, { alg: "ES256" }, EC_CLAIMS);
const [EH = "", EB = "", ES = ""] = goodEc.split(".");
const ecSignature = Buffer.from(ES, "base64url");

/** Signs by HMAC with what everybody knows of the key. */
const hmac = (algorithm: string, secret: string | Buffer): string => {
  const text = `${encode({ alg: algorithm })}.${encode(RSA_CLAIMS)}`;
  return `${text}.${createHmac(`sha${algorithm.slice(2)}`, secret)
    .update(text)
    .digest("base64url")}`;
};
const der = rsa.publicKey.export({ format: "der", type: "spki" });
const textOf = (value: object, insert: string) => `${JSON.stringify(value).slice(0, -1)},${insert}}`;
const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;
const attackersJwk = attacker.publicKey.export({ format: "jwk" });
const signedByAttacker = (header: object) => signJws(attacker, { alg: "RS256", ...header }, RSA_CLAIMS);

/** The last character of base64url with a bit set that decoding drops. */
function stray(part: string): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return part.slice(0, -1) + alphabet[alphabet.indexOf(part.slice(-1)) + 1];
}

const ecSigned = (signature: Buffer) => `${EH}.${EB}.${signature.toString("base64url")}`;

const HOSTILE: [what: string, token: string][] = [
  ["no algorithm", `${encode({ alg: "none" })}.${C}.`],
  ["no algorithm, and a signature", `${encode({ alg: "none" })}.${C}.${S}`],
  ["no algorithm in other letters", `${encode({ alg: "nOnE" })}.${C}.${S}`],
  ["an empty algorithm", `${encode({ alg: "" })}.${C}.${S}`],
  ["an algorithm that is left out", withHeader({ typ: "JWT" })],
  ["an algorithm that is a list", withHeader({ alg: ["RS256"] })],
  ["HMAC with the public key in PEM", hmac("HS256", rsa.pem)],
  ["HMAC with the public key in PEM, trimmed", hmac("HS256", rsa.pem.trim())],
  ["HMAC with the public key in DER", hmac("HS384", der)],
  ["HMAC with the modulus", hmac("HS512", Buffer.from(rsa.jwk["n"] ?? "", "base64url"))],
  ["HMAC with nothing", hmac("HS256", "")],
  ["another algorithm than it is signed by", signJws({ ...rsa, algorithm: "RS256" }, { alg: "RS512" }, RSA_CLAIMS)],
  ["PSS for what is PKCS #1", signJws({ ...rsa, algorithm: "RS256" }, { alg: "PS256" }, RSA_CLAIMS)],
  ["an algorithm of curves by a key of RSA", signJws(rsa, { alg: "ES256" }, RSA_CLAIMS)],
  ["an algorithm in lower case", withHeader({ alg: "rs256" })],
  ["a name of an object's own", withHeader({ alg: "__proto__" })],
  ["encryption", `${encode({ alg: "RSA-OAEP", enc: "A256GCM" })}.${C}.${S}.${S}.${S}`],
  ["a key of its own", signedByAttacker({ jwk: attackersJwk })],
  ["the address of a set", signedByAttacker({ jku: "https://evil.example/jwks.json" })],
  ["the address of a certificate", signedByAttacker({ x5u: "https://evil.example/cert.pem" })],
  ["a certificate", signedByAttacker({ x5c: ["MIIB"] })],
  ["a key of its own, but signed well", withHeader({ alg: "RS256", jwk: attackersJwk })],
  ["the address of a set, but signed well", withHeader({ alg: "RS256", jku: "https://evil.example" })],
  ["critical members", withHeader({ alg: "RS256", crit: ["exp"], exp: 1 })],
  ["an unencoded payload", withHeader({ alg: "RS256", b64: false, crit: ["b64"] })],
  ["compression", withHeader({ alg: "RS256", zip: "DEF" })],
  ["a JWT inside", withHeader({ alg: "RS256", cty: "JWT" })],
  ["a member that nobody knows", withHeader({ alg: "RS256", foo: 1 })],
  ["a typ that is a number", withHeader({ alg: "RS256", typ: 1 })],
  ["a kid that is a number", withHeader({ alg: "RS256", kid: 1 })],
  ["an empty kid", withHeader({ alg: "RS256", kid: "" })],
  ["a kid that is an object", withHeader({ alg: "RS256", kid: { $ne: "" } })],
  ["a kid of 256 characters", withHeader({ alg: "RS256", kid: "k".repeat(256) })],
  ["a kid that is a path, by another key", signedByAttacker({ kid: "../../../../dev/null" })],
  ["a kid that is SQL, by another key", signedByAttacker({ kid: "x' union select 'key' -- " })],
  ["a kid that is a URL, by another key", signedByAttacker({ kid: "https://evil.example/jwks.json" })],
  ["a kid that every object has, by another key", signedByAttacker({ kid: "constructor" })],
  ["the kid of the key, by another key", signedByAttacker({ kid: rsa.jwk["kid"] ?? "x" })],
  ["an algorithm twice", `${encode('{"alg":"RS256","alg":"none"}')}.${C}.${S}`],
  ["a subject twice", withClaims(textOf(RSA_CLAIMS, '"sub":"admin"'))],
  ["a subject twice, one escaped", withClaims(textOf(RSA_CLAIMS, '"s\\u0075b":"admin"'))],
  ["members of userData twice", withClaims(textOf(RSA_CLAIMS, '"userData":{"email":"a@b.c","email":"d@e.f"}'))],
  ["claims that are a list", withClaims([RSA_CLAIMS])],
  ["claims that are text", withClaims('"x"')],
  ["claims that are null", withClaims("null")],
  ["claims that are no JSON", withClaims("{sub:1}")],
  ["claims with something after", withClaims(`${JSON.stringify(RSA_CLAIMS)} x`)],
  ["claims with a byte order mark", withClaims(`\ufeff${JSON.stringify(RSA_CLAIMS)}`)],
  [
    "claims that are not UTF-8",
    signBytes(Buffer.concat([Buffer.from('{"sub":"'), Buffer.of(0xff), Buffer.from('"}')])),
  ],
  ["NUL in the subject", withClaims({ ...RSA_CLAIMS, sub: "a\0b" })],
  ["half of a surrogate pair", withClaims(JSON.stringify(RSA_CLAIMS).replace("mallory", "\\ud800"))],
  ["a number beyond all", withClaims(textOf(RSA_CLAIMS, '"x":1e999'))],
  ["an end beyond all", withClaims(JSON.stringify(RSA_CLAIMS).replace(/"exp":\d+/, '"exp":1e999'))],
  ["too deep claims", withClaims(textOf(RSA_CLAIMS, `"x":${nested(16)}`))],
  ["far too deep claims", withClaims(textOf(RSA_CLAIMS, `"x":${nested(5_000)}`))],
  ["stray bits in the signature", `${H}.${C}.${stray(S)}`],
  ["padding", `${good}==`],
  ["base64 instead of base64url", `${H}.${C}.${S.slice(0, -1)}+`],
  ["white space", `${good} `],
  ["a line break within", `${H}.${C}\n.${S}`],
  ["NUL", `${good}\0`],
  ["the scheme in front", `Bearer ${good}`],
  ["one part", H],
  ["two parts", `${H}.${C}`],
  ["four parts", `${good}.${S}`],
  ["dots alone", ".."],
  ["no signature", `${H}.${C}.`],
  ["no claims", `${H}..${S}`],
  ["the JSON serialisation", JSON.stringify({ protected: H, payload: C, signature: S })],
  ["half of the signature", `${H}.${C}.${S.slice(0, S.length / 2)}`],
  ["a signature of zeros", `${H}.${C}.${Buffer.alloc(256).toString("base64url")}`],
  ["other claims under the same signature", `${H}.${encode({ ...RSA_CLAIMS, sub: "admin" })}.${S}`],
  ["another header under the same signature", `${encode({ alg: "RS256" })}.${C}.${S}`],
];

const HOSTILE_EC: [what: string, token: string][] = [
  ["r and s of zero", ecSigned(Buffer.alloc(64))],
  ["r of zero", ecSigned(Buffer.concat([Buffer.alloc(32), ecSignature.subarray(32)]))],
  ["r and s of the order of the curve", ecSigned(Buffer.concat([order(), order()]))],
  ["r that is too large", ecSigned(Buffer.concat([Buffer.alloc(32, 0xff), ecSignature.subarray(32)]))],
  ["a signature in DER", `${EH}.${EB}.${derSignature()}`],
  ["a signature with a byte before", ecSigned(Buffer.concat([Buffer.of(0), ecSignature]))],
  ["a signature with a byte after", ecSigned(Buffer.concat([ecSignature, Buffer.of(0)]))],
  ["an algorithm of RSA by a curve", signJws(ec, { alg: "RS256" }, EC_CLAIMS)],
  ["an algorithm of another curve", signJws({ ...ec, algorithm: "ES256" }, { alg: "ES384" }, EC_CLAIMS)],
  ["EdDSA by a curve of another kind", signJws(ec, { alg: "EdDSA" }, EC_CLAIMS)],
];

function signBytes(payload: Buffer): string {
  const text = `${encode({ alg: "RS256" })}.${payload.toString("base64url")}`;
  return `${text}.${signatureOf(rsa, text)}`;
}

function order(): Buffer {
  return Buffer.from("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", "hex");
}

/** r and s as ASN.1 has them (RFC 7518 §3.4 has them side by side). */
function derSignature(): string {
  const integer = (bytes: Buffer) => {
    const positive = (bytes[0] ?? 0) > 0x7f ? Buffer.concat([Buffer.of(0), bytes]) : bytes;
    return Buffer.concat([Buffer.of(2, positive.length), positive]);
  };
  const body = Buffer.concat([integer(ecSignature.subarray(0, 32)), integer(ecSignature.subarray(32))]);
  return Buffer.concat([Buffer.of(0x30, body.length), body]).toString("base64url");
}

test("the JWTs that the hostile ones are made from are good", async () => {
  expect((await byRsa.verify(good)).user?.externalId).toBe("mallory");
  expect((await byEc.verify(goodEc)).user?.externalId).toBe("mallory");
  expect(createPublicKey({ key: rsa.jwk, format: "jwk" }).equals(rsa.publicKey)).toBe(true);
});

describe("a JWT is refused, and explained to be, with", () => {
  test.each(HOSTILE)("%s", async (_, token) => {
    expect(await reasonOf(byRsa.verify(token))).toBe("EXTERNAL_JWT_INVALID");
    const { checks, wouldCreate } = await byRsa.explain(token);
    expect([checks.some(({ passed }) => !passed), wouldCreate]).toEqual([true, false]);
  });

  test.each(HOSTILE_EC)("%s", async (_, token) => {
    expect(await reasonOf(byEc.verify(token))).toBe("EXTERNAL_JWT_INVALID");
    expect((await byEc.explain(token)).checks.some(({ passed }) => !passed)).toBe(true);
  });
});

test("a JWT of more than 16 KiB is refused before it is looked at", async () => {
  const long = withClaims({ ...RSA_CLAIMS, x: "x".repeat(13_000) });
  expect(await reasonOf(byRsa.verify(long))).toBe("REQUEST_INVALID");
});
