import { verify } from "node:crypto";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { ExternalAuthService } from "../../src/gen/muster/v1/external_auth_service_pb.ts";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { ALGORITHMS, keyPair, projectWithKey, signerFor } from "./external-fixture.ts";

const app = await startApp();
const own = await projectWithKey(app);
const seconds = (span: number) => Math.floor(app.clock.now() / 1_000) + span;
const MINUTE = 60;

describe("a JWT of the customer's own system", () => {
  test("signs its user in: made at the first time, with an access token, a refresh token and a session", async () => {
    const { user, grant, userCreated } = await own.signIn("first", { name: "First" });
    expect([user?.externalId, user?.name, userCreated]).toEqual(["first", "First", true]);
    const me = app.client(UserService, grant?.accessToken);
    expect((await me.getUser({ ref: { ref: { case: "me", value: true } } })).user?.id).toBe(user?.id);
    expect(Number(grant?.accessTokenExpireTime?.seconds)).toBe(seconds(30 * MINUTE));
    const refreshed = await app
      .client(TokenService)
      .refreshToken({ projectId: own.project.id, refreshToken: grant?.refreshToken ?? "" });
    expect(refreshed.user?.id).toBe(user?.id);
    const again = await own.signIn("first", { name: "First" });
    expect([again.user?.id, again.userCreated]).toEqual([user?.id, false]);
  });

  test("names the project by `iss` or in `aud`, and needs no more than `sub` and `exp` besides", async () => {
    const { id } = own.project;
    expect((await own.verify(own.jwt({ iss: undefined, aud: id, iat: undefined }))).user?.externalId).toBe(
      "user_alice",
    );
    expect((await own.verify(own.jwt({ iss: "https://app.example", aud: ["x", id] }))).user).toBeDefined();
    expect((await own.verify(own.jwt({ iss: id, aud: "anything else" }))).user).toBeDefined();
  });

  test("is taken from `.system` too, whose credential names the project", async () => {
    const { user } = await own.system.verifyExternalUser({ userJwt: own.jwt() });
    expect(user?.externalId).toBe("user_alice");
  });

  test.each(ALGORITHMS)("holds by %s, from PEM and from a JWK", async (algorithm) => {
    const pair = keyPair(algorithm);
    const { system, anonymous, project } = own;
    const jwt = signerFor(app, project, pair);
    await system.rotateExternalKey({ key: { case: "publicKeyPem", value: pair.pem } });
    expect((await anonymous.verifyExternalUser({ projectId: project.id, userJwt: jwt() })).user).toBeDefined();
    const jwk = JSON.stringify({ ...pair.jwk, kid: "mine", alg: algorithm, use: "sig" });
    await system.rotateExternalKey({ key: { case: "jwk", value: jwk }, revokePrevious: true });
    const named = jwt({}, { kid: "mine" });
    expect((await anonymous.verifyExternalUser({ projectId: project.id, userJwt: named })).user).toBeDefined();
    expect(
      await reasonOf(anonymous.verifyExternalUser({ projectId: project.id, userJwt: jwt({}, { kid: "yours" }) })),
    ).toBe("EXTERNAL_JWT_INVALID");
    await system.rotateExternalKey({ key: { case: "publicKeyPem", value: own.pair.pem }, revokePrevious: true });
  });

  test("of Ed25519 may call its algorithm by either name", async () => {
    const pair = keyPair("EdDSA");
    const project = await projectWithKey(app, {}, pair);
    expect((await project.verify(project.jwt({}, { alg: "Ed25519" }))).user).toBeDefined();
  });
});

describe("a JWT is refused", () => {
  const { project } = own;

  test("as missing where there is none, before anything else is looked at", async () => {
    expect(await reasonOf(own.verify(""))).toBe("EXTERNAL_JWT_MISSING");
    expect(await reasonOf(own.anonymous.verifyExternalUser({ userJwt: own.jwt() }))).toBe("REQUEST_INVALID");
  });

  test("where the project has no key, or is none", async () => {
    const { id } = await app.project();
    const call = (projectId: string) =>
      own.anonymous.verifyExternalUser({ projectId, userJwt: own.jwt({ iss: projectId }) });
    expect(await reasonOf(call(id))).toBe("EXTERNAL_KEYS_MISSING");
    expect(await reasonOf(call("00000000-0000-4000-8000-000000000000"))).toBe("PROJECT_NOT_FOUND");
  });

  test("by the project it is for, also where it is signed well for another one, or not at all", async () => {
    const other = await app.project();
    expect(await reasonOf(own.verify(own.jwt({ iss: other.id })))).toBe("EXTERNAL_PROJECT_MISMATCH");
    expect(await reasonOf(own.verify(own.jwt({ iss: other.id, aud: [other.id, "x"] })))).toBe(
      "EXTERNAL_PROJECT_MISMATCH",
    );
    expect(await reasonOf(own.verify(own.jwt({ iss: undefined })))).toBe("EXTERNAL_PROJECT_MISMATCH");
    const foreign = signerFor(app, other, keyPair());
    expect(await reasonOf(own.verify(foreign()))).toBe("EXTERNAL_PROJECT_MISMATCH");
  });

  test("with nothing said but the reason", async () => {
    const { error, metadata, fields } = await refusalOf(
      own.verify(own.jwt({ exp: seconds(-3_600), iat: seconds(-7_200) })),
    );
    expect([error.rawMessage, metadata, fields]).toEqual(["What is to prove the user is not valid", {}, []]);
  });

  test.each<[string, Record<string, unknown>]>([
    ["no sub", { sub: undefined }],
    ["an empty sub", { sub: "" }],
    ["a sub that is a number", { sub: 7 }],
    ["a sub of 256 bytes", { sub: "ä".repeat(128) }],
    ["the sub of `.system`", { sub: ".system" }],
    ["the sub of `.anonymous`", { sub: ".anonymous" }],
    ["no exp", { exp: undefined }],
    ["an exp that is text", { exp: "2099-01-01" }],
    ["an exp before its iat", { iat: seconds(-10), exp: seconds(-20) }],
    ["an iat in the future", { iat: seconds(120), exp: seconds(300) }],
    ["an nbf in the future", { nbf: seconds(120) }],
    ["an iat that is null", { iat: null }],
    ["userData that is text", { userData: "name" }],
    ["userData that is a list", { userData: [] }],
  ])("for %s", async (_, claims) => {
    expect(await reasonOf(own.verify(own.jwt(claims)))).toBe("EXTERNAL_JWT_INVALID");
  });

  test("a minute after its end, a minute before its beginning, and not before", async () => {
    const at = (claims: Record<string, unknown>) =>
      own.verify(own.jwt({ iat: seconds(-300), ...claims })).then(
        () => "taken",
        () => "refused",
      );
    expect(await at({ exp: seconds(-59) })).toBe("taken");
    expect(await at({ exp: seconds(-60) })).toBe("refused");
    expect(await at({ nbf: seconds(60) })).toBe("taken");
    expect(await at({ nbf: seconds(61) })).toBe("refused");
    expect(await at({ iat: seconds(60) })).toBe("taken");
    expect(await at({ iat: seconds(61) })).toBe("refused");
  });

  test("when it is older than the project takes it: by iat, or by how far off its end is", async () => {
    const young = await projectWithKey(app, { externalJwtMaxAge: durationFromMs(300_000) });
    const outcome = async (claims: Record<string, unknown>) =>
      young.verify(young.jwt(claims)).then(
        () => "taken",
        (error: unknown) => reasonOf(Promise.reject(error as Error)),
      );
    expect(await outcome({ iat: seconds(-360), exp: seconds(3_600) })).toBe("taken");
    expect(await outcome({ iat: seconds(-361), exp: seconds(3_600) })).toBe("EXTERNAL_JWT_INVALID");
    expect(await outcome({ iat: undefined, exp: seconds(360) })).toBe("taken");
    expect(await outcome({ iat: undefined, exp: seconds(361) })).toBe("EXTERNAL_JWT_INVALID");
    expect(await outcome({ iat: undefined, exp: seconds(361), userData: { name: 7 } })).toBe("EXTERNAL_JWT_INVALID");
  });

  test("for what breaks a rule of the profile, by the name of the member; for the external id, by its claim", async () => {
    const faulty = await refusalOf(own.signIn("faulty", { email: "x", birthdate: "2023-02-30", username: "admin" }));
    expect([faulty.reason, faulty.fields]).toEqual([
      "REQUEST_INVALID",
      ["user_jwt.userData.email", "user_jwt.userData.birthdate"],
    ]);
    const reserved = await refusalOf(own.signIn("faulty", { username: "admin" }));
    expect([reserved.reason, reserved.fields]).toEqual(["REQUEST_INVALID", ["user_jwt.userData.username"]]);
    const strict = await projectWithKey(app, { userIdPattern: "user_.*" });
    const named = await refusalOf(strict.signIn("alice"));
    expect([named.reason, named.fields]).toEqual(["REQUEST_INVALID", ["user_jwt.sub"]]);
    expect((await strict.signIn("user_alice")).userCreated).toBe(true);
  });

  test("with the reason of a signature, and not of its data, where it is not signed by the project", async () => {
    const forged = signerFor(app, project, keyPair());
    expect(await reasonOf(own.verify(forged({ userData: { name: 7 } })))).toBe("EXTERNAL_JWT_INVALID");
  });
});

describe("suspensions", () => {
  const ref = { ref: { case: "externalId", value: "suspended" } } as const;
  const users = own.project.system(UserService);

  test("stand on the answer's user, and one that blocks sign-in refuses it", async () => {
    await own.signIn("suspended");
    await users.suspendUser({ ref, suspension: { reason: "spam" } });
    const { user } = await own.signIn("suspended");
    expect(user?.suspensions.map(({ reason }) => reason)).toEqual(["spam"]);
    await users.suspendUser({ ref, suspension: { reason: "fraud", blocksSignIn: true } });
    expect(await reasonOf(own.signIn("suspended"))).toBe("USER_SUSPENDED");
  });
});

describe("cookies", () => {
  const PAGE = "https://app.example";

  test("go to a page that the project lists, and with `cookie_only` nothing else does", async () => {
    const listed = await projectWithKey(app, { corsOrigins: [PAGE] });
    const set: string[] = [];
    const page = app.client(ExternalAuthService, undefined, { origin: PAGE });
    const request = { projectId: listed.project.id, userJwt: listed.jwt(), cookieOnly: true };
    const { grant } = await page.verifyExternalUser(request, { onHeader: (it) => set.push(...it.getSetCookie()) });
    expect([grant?.sessionToken, grant?.refreshToken]).toEqual(["", ""]);
    expect(set.map((line) => line.split("=")[0])).toEqual(["__Host-muster-session", "__Host-muster-refresh"]);
    const cookie = set.map((line) => line.split(";")[0]).join("; ");
    const refreshing = app.client(TokenService, undefined, { origin: PAGE, cookie });
    expect((await refreshing.refreshToken({ projectId: listed.project.id, cookieOnly: true })).user?.externalId).toBe(
      "user_alice",
    );
    const stranger = app.client(ExternalAuthService, undefined, { origin: "https://evil.example" });
    expect(await reasonOf(stranger.verifyExternalUser(request))).toBe("ORIGIN_NOT_ALLOWED");
  });
});

test("the fixture signs as node:crypto verifies", () => {
  const pair = keyPair("EdDSA");
  const [header, claims, signature = ""] = signerFor(app, own.project, pair)().split(".");
  const text = Buffer.from(`${header}.${claims}`);
  expect(verify(null, text, pair.publicKey, Buffer.from(signature, "base64url"))).toBe(true);
});
