import { execFileSync } from "node:child_process";
import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { SignJWT } from "jose";
import { describe, expect, test } from "vitest";
import { FirebaseMethod } from "../../src/gen/muster/v1/provider_pb.ts";
import { startOutsideServer } from "../support/outside-server.ts";
import { startProving } from "./proving.ts";

/** Publishes its keys in both forms that Google has them in. */
const issuer = await startOutsideServer();
const { clock, prove, provider, refusal } = await startProving([issuer.host]);
const SECOND = 1_000;
type Claims = Record<string, unknown>;

const pair = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const stranger = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const elliptic = generateKeyPairSync("ec", { namedCurve: "P-256" });
const certified = certifiedKey();

issuer.answer = ({ url }, response) => {
  const jwk = (key: KeyObject, kid: string, alg: string) => ({
    ...key.export({ format: "jwk" }),
    kid,
    alg,
    use: "sig",
  });
  const keys = [jwk(pair.publicKey, "one", "RS256"), jwk(elliptic.publicKey, "curve", "ES256")];
  response.writeHead(200, { "content-type": "application/json", "cache-control": "public, max-age=19000" });
  response.end(JSON.stringify(url === "/x509" ? { two: certified.certificate } : { keys }));
};

const config = (value: Claims = {}) =>
  ({ case: "firebase", value: { firebaseProjectId: "my-app", keysUri: `${issuer.url}/jwk`, ...value } }) as const;
const id = await provider(config());
const HOLDS_NOT = "EXTERNAL_JWT_INVALID";

/** What Firebase says of a user that signed in by phone. */
const PHONE = { phone_number: "+14155550132", firebase: { identities: {}, sign_in_provider: "phone" } };
const EMAIL = {
  email: "ada@example.org",
  email_verified: true,
  name: "Ada",
  picture: "https://cdn.example/a.png",
  firebase: { identities: { email: ["ada@example.org"] }, sign_in_provider: "password" },
};

function claimsOf(claims: Claims): Claims {
  const now = Math.floor(clock.now() / SECOND);
  const times = { auth_time: now - 10, iat: now, exp: now + 3_600 };
  const parties = { iss: "https://securetoken.google.com/my-app", aud: "my-app", sub: "uid-1", user_id: "uid-1" };
  return { ...parties, ...times, ...claims };
}

const token = (claims: Claims, header: Claims = {}, key: KeyObject = pair.privateKey) =>
  new SignJWT(claimsOf(claims)).setProtectedHeader({ alg: "RS256", kid: "one", typ: "JWT", ...header }).sign(key);

const REFUSED: [what: string, claims: Claims, header?: Claims][] = [
  ["another issuer", { iss: "https://securetoken.google.com/other" }],
  ["another Firebase project", { aud: "other" }],
  ["a list of audiences", { aud: ["my-app"] }],
  ["an empty subject", { sub: "" }],
  ["no subject", { sub: undefined }],
  ["a subject of 129 characters", { sub: "a".repeat(129) }],
  ["no beginning", { iat: undefined }],
  ["a beginning in the future", { iat: Date.parse("2027-01-01") / SECOND }],
  ["no end", { exp: undefined }],
  ["an end in the past", { iat: 1, exp: 2 }],
  ["no time of the sign-in", { auth_time: undefined }],
  ["a sign-in in the future", { auth_time: Date.parse("2027-01-01") / SECOND }],
  ["a sign-in in words", { auth_time: "now" }],
  ["a tenant", { firebase: { sign_in_provider: "phone", tenant: "tenant-1" } }],
  ["no method", { firebase: {} }],
  ["nothing of Firebase", { firebase: undefined }],
  ["a method of others", { firebase: { sign_in_provider: "google.com" } }],
  ["no account", { firebase: { sign_in_provider: "anonymous" } }],
  ["a method of the app's own", { firebase: { sign_in_provider: "custom" } }],
  ["a method that objects have", { firebase: { sign_in_provider: "constructor" } }],
  ["no kid", {}, { kid: undefined }],
  ["a kid that Google has not", {}, { kid: "none" }],
  ["another algorithm of the same key", {}, { alg: "RS512" }],
];

describe("an ID token of Firebase", () => {
  test("proves a phone, which is verified", async () => {
    const userData = { phone: "+14155550132", phone_verified: true };
    expect(await prove(id, await token(PHONE))).toEqual({ subject: "uid-1", userData });
  });

  test("proves an email, which is verified where Firebase says so", async () => {
    const userData = {
      name: "Ada",
      email: "ada@example.org",
      email_verified: true,
      avatar: "https://cdn.example/a.png",
    };
    expect(await prove(id, await token(EMAIL))).toEqual({ subject: "uid-1", userData });
    const unverified = await prove(id, await token({ ...EMAIL, email_verified: false }));
    expect(unverified.userData).toMatchObject({ email_verified: false });
  });

  test("is of a method that the provider takes", async () => {
    const phoneOnly = await provider(config({ methods: [FirebaseMethod.PHONE] }));
    const emailOnly = await provider(config({ methods: [FirebaseMethod.EMAIL] }));
    const [phone, email] = [await token(PHONE), await token(EMAIL)];
    expect((await prove(phoneOnly, phone)).subject).toBe("uid-1");
    expect((await prove(emailOnly, email)).subject).toBe("uid-1");
    expect((await refusal(phoneOnly, email)).reason).toBe(HOLDS_NOT);
    expect((await refusal(emailOnly, phone)).reason).toBe(HOLDS_NOT);
  });

  test("is verified by certificates as well as by keys", async () => {
    const byCertificates = await provider(config({ keysUri: `${issuer.url}/x509` }));
    const signed = await token(PHONE, { kid: "two" }, certified.key);
    expect((await prove(byCertificates, signed)).subject).toBe("uid-1");
    expect((await refusal(byCertificates, await token(PHONE))).why).toBe("the provider has no such key");
  });

  test.each(REFUSED)("with %s is refused", async (_, claims, header) => {
    expect((await refusal(id, await token({ ...PHONE, ...claims }, header))).reason).toBe(HOLDS_NOT);
  });

  test("that somebody else signed is refused, and one by another algorithm", async () => {
    expect((await refusal(id, await token(PHONE, {}, stranger.privateKey))).reason).toBe(HOLDS_NOT);
    const signed = await token(PHONE, { alg: "ES256", kid: "curve" }, elliptic.privateKey);
    expect((await refusal(id, signed)).why).toBe("alg is not RS256");
  });

  test("of the emulator, which nobody signed, is refused", async () => {
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    for (const unsigned of [
      `${encode({ alg: "none", typ: "JWT" })}.${encode(claimsOf(PHONE))}.`,
      `${encode({ alg: "none", kid: "one" })}.${encode(claimsOf(PHONE))}.AAAA`,
    ])
      expect((await refusal(id, unsigned)).reason).toBe(HOLDS_NOT);
  });

  test("has no nonce: one that is given is a mistake", async () => {
    expect((await refusal(id, await token(PHONE), "n")).reason).toBe("REQUEST_INVALID");
  });
});

/** An RSA key and a certificate of it, as Google has them. */
function certifiedKey() {
  const made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=securetoken", "-keyout", "-"];
  const pem = execFileSync("openssl", made, { stdio: ["ignore", "pipe", "ignore"] }).toString();
  const [key = ""] = /-----BEGIN PRIVATE KEY-----[^]*?-----END PRIVATE KEY-----/.exec(pem) ?? [];
  const certificate = new X509Certificate(pem.slice(pem.indexOf("-----BEGIN CERTIFICATE"))).toString();
  return { key: createPrivateKey(key), certificate };
}
