import { createPrivateKey, createPublicKey } from "node:crypto";
import { durationFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { ExternalAuthService } from "../../src/gen/muster/v1/external_auth_service_pb.ts";
import { type ExternalKey, ExternalKeyState } from "../../src/gen/muster/v1/external_key_pb.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { ALGORITHMS, keyPair, projectWithKey, signerFor } from "./external-fixture.ts";

const app = await startApp();
const { CURRENT, PREVIOUS } = ExternalKeyState;
const HOUR = 3_600_000;
const pem = (value: string) => ({ case: "publicKeyPem", value }) as const;
const jwkOf = (value: object) => ({ case: "jwk", value: JSON.stringify(value) }) as const;
const statesOf = (keys: readonly ExternalKey[]) => keys.map(({ id, state }) => [id, state]);
const RULES = [
  ["Ed25519", "EdDSA"],
  ["RSA", "RS256"],
] as const;

describe("rotating", () => {
  test("makes a key current; the one before stays good until its end, and the one before that goes", async () => {
    const [one, two, three] = [keyPair(), keyPair("EdDSA"), keyPair("RS256")];
    const own = await projectWithKey(app, {}, one);
    const by = (pair: typeof one) => own.verify(signerFor(app, own.project, pair)());
    const first = (await own.system.listExternalKeys({})).keys;
    expect(statesOf(first)).toEqual([[first[0]?.id, CURRENT]]);

    const { key } = await own.system.rotateExternalKey({ key: pem(two.pem), previousTtl: durationFromMs(HOUR) });
    expect([key?.state, key?.algorithm, key?.endTime]).toEqual([CURRENT, "EdDSA", undefined]);
    const { keys } = await own.system.listExternalKeys({});
    expect(statesOf(keys)).toEqual([
      [key?.id, CURRENT],
      [first[0]?.id, PREVIOUS],
    ]);
    expect(timestampMs(keys[1]?.endTime ?? ({} as never))).toBe(app.clock.now() + HOUR);
    await by(one);
    await by(two);

    await app.clock.advance(HOUR - 1);
    await by(one);
    await app.clock.advance(1);
    expect(await reasonOf(by(one))).toBe("EXTERNAL_JWT_INVALID");
    expect((await own.system.listExternalKeys({})).keys).toHaveLength(1);

    await own.system.rotateExternalKey({ key: pem(one.pem) });
    await own.system.rotateExternalKey({ key: pem(three.pem) });
    await by(one);
    await by(three);
    expect(await reasonOf(by(two))).toBe("EXTERNAL_JWT_INVALID");
  });

  test("with `revoke_previous` leaves nothing of the keys before, also where the key is the current one already", async () => {
    const [one, two] = [keyPair(), keyPair()];
    const own = await projectWithKey(app, {}, one);
    const by = (pair: typeof one) => own.verify(signerFor(app, own.project, pair)());
    await own.system.rotateExternalKey({ key: pem(two.pem) });
    await by(one);
    const again = await own.system.rotateExternalKey({ key: pem(two.pem), revokePrevious: true });
    expect(await reasonOf(by(one))).toBe("EXTERNAL_JWT_INVALID");
    await by(two);
    expect(statesOf((await own.system.listExternalKeys({})).keys)).toEqual([[again.key?.id, CURRENT]]);
    await own.system.rotateExternalKey({ key: pem(one.pem), revokePrevious: true });
    expect(await reasonOf(by(two))).toBe("EXTERNAL_JWT_INVALID");
  });

  test("is in force on the other servers within a second", async () => {
    const other = await startApp({ db: app.db, clock: app.clock });
    const [one, two] = [keyPair(), keyPair()];
    const own = await projectWithKey(app, {}, one);
    const there = other.client(ExternalAuthService);
    const by = (pair: typeof one) =>
      there.verifyExternalUser({ projectId: own.project.id, userJwt: signerFor(app, own.project, pair)() });
    await by(one);
    await own.system.rotateExternalKey({ key: pem(two.pem), revokePrevious: true });
    // What the new key signs is taken at once: nobody waits for a server to have heard of it.
    await by(two);
    await app.clock.advance(1_000);
    expect(await reasonOf(by(one))).toBe("EXTERNAL_JWT_INVALID");
  });

  test("to the key that is current changes nothing, whatever form it is sent in", async () => {
    const pair = keyPair();
    const own = await projectWithKey(app, {}, pair);
    const before = (await own.system.listExternalKeys({})).keys;
    await app.clock.advance(1_000);
    await own.system.rotateExternalKey({ key: pem(pair.pem) });
    await own.system.rotateExternalKey({ key: pem(`# mine\n${pair.pem}\n`) });
    await own.system.rotateExternalKey({ key: jwkOf(pair.jwk) });
    await own.system.rotateExternalKey({ key: jwkOf({ ...pair.jwk, use: "sig", alg: "ES256" }), algorithm: "ES256" });
    expect((await own.system.listExternalKeys({})).keys).toEqual(before);
  });

  test("back to the previous key makes it current again", async () => {
    const [one, two] = [keyPair(), keyPair()];
    const own = await projectWithKey(app, {}, one);
    await own.system.rotateExternalKey({ key: pem(two.pem) });
    await own.system.rotateExternalKey({ key: pem(one.pem) });
    const { keys } = await own.system.listExternalKeys({});
    expect(keys.map(({ publicJwk }) => JSON.parse(publicJwk).x)).toEqual([one.jwk["x"], two.jwk["x"]]);
  });

  test("twenty at once leaves one current and one previous key", async () => {
    const own = await projectWithKey(app);
    const pairs = Array.from({ length: 20 }, () => keyPair());
    await Promise.all(pairs.map(({ pem: value }) => own.system.rotateExternalKey({ key: pem(value) })));
    const { keys } = await own.system.listExternalKeys({});
    expect(keys.map(({ state }) => state)).toEqual([CURRENT, PREVIOUS]);
  });

  test("during sign-ins refuses none of those that its keys have signed", async () => {
    const pairs = Array.from({ length: 6 }, () => keyPair("EdDSA"));
    const [first = keyPair()] = pairs;
    const own = await projectWithKey(app, {}, first);
    const outcomes: Promise<unknown>[] = [];
    for (const pair of pairs) {
      await own.system.rotateExternalKey({ key: pem(pair.pem) });
      for (let i = 0; i < 10; i++) outcomes.push(own.verify(signerFor(app, own.project, pair)({ sub: `user ${i}` })));
    }
    const signedIn = (await Promise.allSettled(outcomes)).map(({ status }) => status);
    expect(signedIn.slice(-20)).toEqual(Array.from({ length: 20 }, () => "fulfilled"));
  });
});

describe("a key", () => {
  test("is shown by what it came with: its kid or its thumbprint, its algorithm, its public half alone", async () => {
    const own = await projectWithKey(app);
    const rsa = keyPair("RS256");
    const { key: open } = await own.system.rotateExternalKey({ key: pem(rsa.pem) });
    expect([open?.algorithm, open?.keyId, open?.jwksUri]).toEqual(["", JSON.parse(open?.publicJwk ?? "").kid, ""]);
    expect(createPublicKey({ key: JSON.parse(open?.publicJwk ?? ""), format: "jwk" }).equals(rsa.publicKey)).toBe(true);
    const { key: bound } = await own.system.rotateExternalKey({ key: jwkOf({ ...rsa.jwk, kid: "k1", alg: "PS256" }) });
    expect([bound?.algorithm, bound?.keyId]).toEqual(["PS256", "k1"]);
    expect(JSON.parse(bound?.publicJwk ?? "")).toEqual({ ...rsa.jwk, kid: "k1", alg: "PS256", use: "sig" });
  });

  test("of RSA takes all six of its algorithms, unless it is bound to one", async () => {
    const rsa = keyPair("RS256");
    const own = await projectWithKey(app);
    await own.system.rotateExternalKey({ key: pem(rsa.pem) });
    const six = ALGORITHMS.slice(0, 6);
    const by = (algorithm: string) =>
      own.verify(signerFor(app, own.project, { ...rsa, algorithm })()).then(
        () => "taken",
        () => "refused",
      );
    expect(await Promise.all(six.map(by))).toEqual(six.map(() => "taken"));
    await own.system.rotateExternalKey({ key: pem(rsa.pem), algorithm: "PS384", revokePrevious: true });
    expect(await Promise.all(six.map(by))).toEqual(["refused", "refused", "refused", "refused", "taken", "refused"]);
  });

  test.each([
    ["a private PEM", "public_key_pem", pem(String(keyPair().privateKey.export({ format: "pem", type: "pkcs8" })))],
    ["no PEM", "public_key_pem", pem("hello")],
    ["a private JWK", "jwk", jwkOf(keyPair().privateKey.export({ format: "jwk" }))],
    ["a symmetric JWK", "jwk", jwkOf({ kty: "oct", k: "AAAA" })],
    ["no JSON", "jwk", { case: "jwk", value: "{" } as const],
    ["a member twice", "jwk", { case: "jwk", value: '{"kty":"RSA","kty":"EC"}' } as const],
    ["a JWK Set", "jwk", jwkOf({ keys: [keyPair().jwk] })],
    ["an address that is not public", "jwks_uri", { case: "jwksUri", value: "https://127.0.0.1/jwks.json" } as const],
    ["an address that is none", "jwks_uri", { case: "jwksUri", value: "jwks.json" } as const],
    ["plain http", "jwks_uri", { case: "jwksUri", value: "http://example.org/jwks.json" } as const],
  ])("is refused where it is %s, by its field", async (_, field, key) => {
    const system = (await app.project()).system(ExternalAuthService);
    const { reason, fields } = await refusalOf(system.rotateExternalKey({ key }));
    expect([reason, fields]).toEqual(["REQUEST_INVALID", [field]]);
    expect((await system.listExternalKeys({})).keys).toEqual([]);
  });

  test.each([
    ["of another kind", { key: pem(keyPair("ES256").pem), algorithm: "RS256" }],
    ["of HMAC", { key: pem(keyPair("RS256").pem), algorithm: "HS256" }],
    ["none", { key: pem(keyPair("RS256").pem), algorithm: "none" }],
    ["that the JWK does not name", { key: jwkOf({ ...keyPair("RS256").jwk, alg: "PS256" }), algorithm: "RS256" }],
    ["beside that of a key to be generated", { key: { case: "generate", value: {} } as const, algorithm: "ES256" }],
    ["for a set", { key: { case: "jwksUri", value: "https://example.org" } as const, algorithm: "ES256" }],
  ])("is refused for an algorithm %s", async (_, request) => {
    const system = (await app.project()).system(ExternalAuthService);
    const { reason, fields } = await refusalOf(system.rotateExternalKey(request));
    expect([reason, fields]).toEqual(["REQUEST_INVALID", ["algorithm"]]);
  });

  test.each(RULES)("of %s is taken under the name of its algorithm", async (_, algorithm) => {
    const system = (await app.project()).system(ExternalAuthService);
    const { key } = await system.rotateExternalKey({ key: pem(keyPair(algorithm).pem), algorithm });
    expect(key?.algorithm).toBe(algorithm);
  });
});

describe("a key that is generated", () => {
  test.each(ALGORITHMS)(
    "for %s is handed out once, as PKCS #8, and its private half is kept nowhere",
    async (algorithm) => {
      const project = await app.project();
      const system = project.system(ExternalAuthService);
      const { key, privateKeyPem } = await system.rotateExternalKey({
        key: { case: "generate", value: { algorithm } },
      });
      expect(key?.algorithm).toBe(algorithm);
      const privateKey = createPrivateKey(privateKeyPem);
      const jwt = signerFor(app, project, { ...keyPair("ES256"), privateKey, algorithm });
      const named = jwt({}, { kid: key?.keyId });
      expect((await system.verifyExternalUser({ userJwt: named })).userCreated).toBe(true);
      expect((await system.verifyExternalUser({ userJwt: jwt() })).userCreated).toBe(false);
      const { d = "" } = privateKey.export({ format: "jwk" });
      const { rows } = await app.db.pool.query<{ row: string }>(
        "select external_keys::text as row from external_keys where project_id = $1",
        [project.id],
      );
      expect(rows.map(({ row }) => row.includes(d) || row.includes("PRIVATE"))).toEqual([false]);
    },
  );

  test("is of Ed25519 where nothing is said", async () => {
    const system = (await app.project()).system(ExternalAuthService);
    const { key } = await system.rotateExternalKey({ key: { case: "generate", value: {} } });
    expect(key?.algorithm).toBe("EdDSA");
  });
});
