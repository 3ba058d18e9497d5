import { createHash, randomUUID } from "node:crypto";
import { OAuth2Server } from "oauth2-mock-server";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { startProving } from "./proving.ts";

/** An OpenID provider of its own, with its own keys. */
const server = new OAuth2Server();
await server.issuer.keys.generate("RS256");
await server.start(0, "127.0.0.1");
afterAll(() => server.stop());
const issuer = server.issuer.url ?? "";
const { auth, clock, logged, prove, provider, refusal } = await startProving([new URL(issuer).host]);

const SECOND = 1_000;
type Claims = Record<string, unknown>;
/** Claims of an ID token that is good for an hour; `undefined` leaves one out. */
const claimsOf = (claims: Claims): Claims => {
  const now = Math.floor(clock.now() / SECOND);
  return { iss: issuer, aud: "app", sub: "user-1", iat: now, exp: now + 3_600, nbf: now, ...claims };
};
/** An ID token that the provider signs. */
const idToken = (claims: Claims = {}, header: Claims = {}) =>
  server.issuer.buildToken({
    scopesOrTransform(its, payload) {
      for (const name of Object.keys(payload)) delete payload[name];
      Object.assign(payload, claimsOf(claims));
      Object.assign(its, header);
    },
  });

const config = (value: Claims = {}) => ({ case: "oidc" as const, value: { issuer, clientId: "app", ...value } });
const id = await provider(config());
const HOLDS_NOT = "EXTERNAL_JWT_INVALID";

const TOLD: [what: string, claims: Claims, userData: Claims][] = [
  ["nothing", {}, {}],
  ["a name in two parts", { given_name: "Ada", family_name: "Lovelace" }, { name: "Ada Lovelace" }],
  ["half a name", { family_name: "Lovelace" }, { name: "Lovelace" }],
  ["a name that is too long", { name: "a".repeat(256) }, {}],
  ["a name that is none", { name: 1, given_name: [] }, {}],
  [
    "an email that is verified in words",
    { email: "a@b.org", email_verified: "true" },
    { email: "a@b.org", email_verified: false },
  ],
  ["an email of which nothing is said", { email: "a@b.org" }, { email: "a@b.org", email_verified: false }],
  ["an email that is none", { email: "a@b@c", email_verified: true }, {}],
  ["a picture that is not https", { picture: "http://cdn.example/a.png" }, {}],
  ["a picture that is no URL", { picture: "https://cdn example/<a>" }, {}],
];

const REFUSED: [what: string, claims: Claims, header?: Claims][] = [
  ["another issuer", { iss: "https://evil.example" }],
  ["its issuer with a slash", { iss: `${issuer}/` }],
  ["another audience", { aud: "other" }],
  ["no audience", { aud: undefined }],
  ["an empty audience", { aud: [] }],
  ["an audience that is no name", { aud: [{ app: true }, "app"] }],
  ["several audiences and no azp", { aud: ["app", "other"] }],
  ["another azp", { azp: "other" }],
  ["an azp that is no name", { azp: ["app"] }],
  ["no subject", { sub: undefined }],
  ["an empty subject", { sub: "" }],
  ["a subject that is no text", { sub: 1 }],
  ["a subject of 256 bytes", { sub: "ü".repeat(128) }],
  ["no end", { exp: undefined }],
  ["an end in words", { exp: "tomorrow" }],
  ["no beginning", { iat: undefined }],
  ["a nonce that nobody gave", { nonce: "n" }],
  ["an event", { events: { "http://schemas.openid.net/event/backchannel-logout": {} } }],
  ["the type of an access token", {}, { typ: "at+jwt" }],
  ["the type of a logout token", {}, { typ: "logout+jwt" }],
  ["a key of its own", {}, { jwk: { kty: "RSA" } }],
  ["a place of its own for keys", {}, { jku: "https://evil.example" }],
  ["certificates of its own", {}, { x5c: ["MIIB"] }],
  ["a kid that the provider has not", {}, { kid: "none" }],
];

describe("an ID token", () => {
  test("proves whom it is about, and tells what the profile has a place for", async () => {
    const told = {
      name: "Ada Lovelace",
      email: "ada@example.org",
      email_verified: true,
      picture: "https://cdn.example/a.png",
    };
    const token = await idToken({ ...told, preferred_username: "ada", locale: "en" });
    expect(await prove(id, token)).toEqual({
      subject: "user-1",
      userData: {
        name: "Ada Lovelace",
        email: "ada@example.org",
        email_verified: true,
        avatar: "https://cdn.example/a.png",
      },
    });
  });

  test.each(TOLD)("that tells %s of the user", async (_, claims, userData) => {
    expect(await prove(id, await idToken(claims))).toEqual({ subject: "user-1", userData });
  });

  test.each(REFUSED)("with %s is refused", async (_, claims, header) => {
    expect((await refusal(id, await idToken(claims, header))).reason).toBe(HOLDS_NOT);
  });

  test("is taken with 60 seconds between the clocks, and not with more", async () => {
    const now = clock.now() / SECOND;
    const reasonOf = async (claims: Claims) => {
      const token = await idToken(claims);
      return prove(id, token).then(
        () => "proven",
        () => refusal(id, token).then(({ why }) => why),
      );
    };
    expect(await reasonOf({ iat: now - 100, exp: now - 59 })).toBe("proven");
    expect(await reasonOf({ iat: now - 100, exp: now - 60 })).toBe("exp is over");
    expect(await reasonOf({ iat: now + 60 })).toBe("proven");
    expect(await reasonOf({ iat: now + 61 })).toBe("iat is in the future");
    expect(await reasonOf({ nbf: now + 60 })).toBe("proven");
    expect(await reasonOf({ nbf: now + 61 })).toBe("nbf is in the future");
  });

  test("is for the client id or one of the audiences, and azp is one of them too", async () => {
    const both = await provider(config({ audiences: ["web", "ios"] }));
    const listed = await provider(config({ clientId: "", audiences: ["web"] }));
    const several = { aud: ["other", "web"], azp: "app" };
    expect((await prove(both, await idToken({ aud: "ios" }))).subject).toBe("user-1");
    expect((await prove(both, await idToken(several))).subject).toBe("user-1");
    expect((await prove(listed, await idToken({ aud: ["web"] }))).subject).toBe("user-1");
    expect((await refusal(listed, await idToken(several))).why).toBe("azp is none of the client ids");
    expect((await refusal(listed, await idToken({ aud: "" }))).reason).toBe(HOLDS_NOT);
    expect((await refusal(listed, await idToken({ aud: "app" }))).reason).toBe(HOLDS_NOT);
  });

  test("with a nonce is taken by that nonce, which it may have as it is or hashed", async () => {
    const nonce = randomUUID();
    const hash = createHash("sha256").update(nonce).digest("hex");
    for (const claim of [nonce, hash, hash.toUpperCase()])
      expect((await prove(id, await idToken({ nonce: claim }), nonce)).subject).toBe("user-1");
    for (const claim of [undefined, "", "other", null, [nonce], createHash("sha256").update("other").digest("hex")])
      expect((await refusal(id, await idToken({ nonce: claim }), nonce)).why).toBe("nonce is another one");
    // The hash does not stand for itself: whoever has seen the token has it.
    expect((await refusal(id, await idToken({ nonce: hash }))).why).toBe("it has a nonce, and none was given");
  });

  test("that was changed, or signed by nobody or somebody else, is refused", async () => {
    const token = await idToken();
    const [header = "", claims = "", signature = ""] = token.split(".");
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const other = encode(claimsOf({ sub: "admin" }));
    const none = encode({ alg: "none", typ: "JWT" });
    const flipped = `${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`;
    for (const forged of [
      `${header}.${other}.${signature}`,
      `${header}.${claims}.${flipped}`,
      `${none}.${claims}.`,
      `${none}.${claims}.${signature}`,
      `${encode({ alg: "HS256" })}.${claims}.${signature}`,
      `${encode({ alg: "PS256" })}.${claims}.${signature}`,
      `${token}.`,
      ` ${token}`,
      "text",
    ])
      expect((await refusal(id, forged)).reason).toBe(HOLDS_NOT);
  });

  test("leaves nothing of itself in the log where it is refused", async () => {
    const secret = randomUUID();
    const token = await idToken({ sub: secret, aud: "other" });
    const garbled = `${token.split(".")[0]}.${Buffer.from(`{"${secret}": ${secret}}`).toString("base64url")}.AAAA`;
    logged.length = 0;
    await refusal(id, token);
    await refusal(id, garbled);
    expect(logged).toHaveLength(2);
    expect(logged[0]).toContain("aud holds none of the client ids");
    expect(logged.join()).not.toContain(secret);
    expect(logged.join()).not.toContain(token.slice(-20));
    expect(logged.join()).not.toContain(secret.slice(0, 8));
  });
});

describe("the keys of the provider", () => {
  test("may be of any kind that is no secret, and change while it runs", async () => {
    for (const algorithm of ["PS256", "ES256", "ES384", "EdDSA"]) {
      const { kid } = await server.issuer.keys.generate(algorithm, algorithm === "EdDSA" ? { crv: "Ed25519" } : {});
      await clock.advance(31 * SECOND);
      const token = await server.issuer.buildToken({
        kid,
        scopesOrTransform: (_, it) => void Object.assign(it, claimsOf({})),
      });
      expect((await prove(id, token)).subject).toBe("user-1");
    }
  });

  test("are asked for by nobody's token that is for somebody else", async () => {
    const fresh = await provider(config({ issuer: `${issuer}/fresh` }));
    expect((await refusal(fresh, await idToken())).why).toBe("iss is another issuer");
    expect((await refusal(fresh, await idToken({ iss: `${issuer}/fresh` }))).reason).toBe("PROVIDER_UNAVAILABLE");
  });
});

describe("a provider", () => {
  const WELL_KNOWN = "beforeWellKnownOpenIdConfiguration";
  beforeEach(() => void server.service.removeAllListeners(WELL_KNOWN));

  // The issuer calls itself localhost.
  const name = `http://127.0.0.1:${new URL(issuer).port}`;

  /** The same provider under a name that nothing is known of, what it says of itself, and a token by that name. */
  async function anew(document: Claims) {
    const again = await startProving([new URL(name).host, new URL(issuer).host]);
    server.service.on(WELL_KNOWN, ({ body }: { body: Claims }) => void Object.assign(body, document));
    const provided = await again.provider(config({ issuer: name }));
    const now = again.clock.now() / SECOND;
    const token = await idToken({ iss: name, iat: now, nbf: now, exp: now + 60 });
    return { ...again, provided, token };
  }

  test("whose discovery document names another issuer speaks for nobody", async () => {
    const { provided, token, refusal: its } = await anew({ issuer });
    const { reason, retryAfter } = await its(provided, token);
    expect(reason).toBe("PROVIDER_UNAVAILABLE");
    expect(retryAfter).toBeGreaterThan(0);
  });

  test("whose discovery document names its own keeps its promises", async () => {
    const { provided, token, prove: its } = await anew({ issuer: name });
    expect((await its(provided, token)).subject).toBe("user-1");
  });

  test("whose keys are at a private address is out of order", async () => {
    const { provided, token, refusal: its } = await anew({ issuer: name, jwks_uri: "https://10.0.0.1/jwks" });
    expect((await its(provided, token)).reason).toBe("PROVIDER_UNAVAILABLE");
  });

  test("that is away makes nobody's credential worse", async () => {
    const away = await provider(config({ issuer: `${issuer}/away` }));
    expect((await refusal(away, await idToken({ iss: `${issuer}/away` }))).reason).toBe("PROVIDER_UNAVAILABLE");
  });

  test("is in force as it was changed within a second, and not at all while it is disabled", async () => {
    const changed = await provider(config());
    const token = await idToken({ aud: "later" });
    expect((await refusal(changed, token)).reason).toBe(HOLDS_NOT);
    await auth.updateProvider({ provider: { id: changed, config: config({ clientId: "later" }) } });
    await clock.advance(999);
    expect((await prove(changed, token)).subject).toBe("user-1");
    const disable = (disabled: boolean) =>
      auth.updateProvider({ provider: { id: changed, disabled }, updateMask: { paths: ["disabled"] } });
    await disable(true);
    await clock.advance(999);
    expect((await refusal(changed, token)).reason).toBe("PROVIDER_NOT_FOUND");
    await disable(false);
    await clock.advance(999);
    expect((await prove(changed, token)).subject).toBe("user-1");
    await auth.deleteProvider({ provider: changed });
    await clock.advance(999);
    expect((await refusal(changed, token)).reason).toBe("PROVIDER_NOT_FOUND");
  });
});
