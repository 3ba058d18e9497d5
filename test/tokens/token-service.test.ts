import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { ErrorReason } from "../../src/gen/muster/v1/error_reason_pb.ts";
import { SigningAlgorithm } from "../../src/gen/muster/v1/project_pb.ts";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { SigningKeyState } from "../../src/gen/muster/v1/token_pb.ts";
import { RotationMode, TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";

const app = await startApp();
const project = await app.project();
const system = project.system(TokenService);
const alice = await project.signedInUser("alice");

const byId = (id: string) => ({ ref: { case: "id", value: id } }) as const;
const me = { ref: { case: "me", value: true } } as const;

describe("IssueToken", () => {
  test("answers the token, what is known of it, and where it is accepted", async () => {
    const answer = await system.issueToken({ ref: byId(alice.id), ttl: durationFromMs(90_000) });
    const [, claims] = answer.signedToken.split(".").map((part) => Buffer.from(part, "base64url").toString());
    const issued = BigInt(Math.floor(app.clock.now() / 1_000));
    expect(answer.token).toMatchObject({
      id: JSON.parse(claims ?? "").jti,
      userId: alice.id,
      issueTime: { seconds: issued, nanos: 0 },
      expireTime: { seconds: issued + 90n, nanos: 0 },
      ttl: { seconds: 90n },
      revoked: false,
    });
    expect(answer.supportedHeaders).toEqual(["authorization", "x-muster-token"]);
    expect(answer.supportedCookies).toEqual(["__Host-muster-session"]);
  });

  test("gives a token that is accepted where it says", async () => {
    const { signedToken, supportedHeaders, supportedCookies } = await system.issueToken({ ref: byId(alice.id) });
    const origin = "https://app.example.com";
    await app.operator(ProjectService).updateProject({ projectId: project.id, settings: { corsOrigins: [origin] } });
    await app.clock.advance(501);
    const ways = [
      ...supportedHeaders.map((name) => ({ [name]: name === "authorization" ? `Bearer ${signedToken}` : signedToken })),
      ...supportedCookies.map((name) => ({ cookie: `${name}=${signedToken}`, origin })),
    ];
    expect(ways).toHaveLength(3);
    for (const headers of ways) {
      const { user } = await app.client(UserService, undefined, headers).getUser({ ref: me });
      expect(user?.id).toBe(alice.id);
    }
  });

  test("gives a token that stands for its user and not for the project", async () => {
    const client = app.client(TokenService, alice.token);
    expect(await reasonOf(client.issueToken({ ref: me }))).toBe("PRINCIPAL_NOT_ALLOWED");
    expect(await reasonOf(client.verifyToken({ token: alice.token }))).toBe("PRINCIPAL_NOT_ALLOWED");
    expect(await reasonOf(client.listSigningKeys({}))).toBe("PRINCIPAL_NOT_ALLOWED");
    expect(await reasonOf(client.rotateSigningKey({ mode: RotationMode.GRACEFUL }))).toBe("PRINCIPAL_NOT_ALLOWED");
  });

  test("gives no token for .system", async () => {
    expect(await reasonOf(system.issueToken({ ref: me }))).toBe("RESERVED_USER");
  });

  test("gives a token for another audience that does not call with it", async () => {
    const { signedToken } = await system.issueToken({ ref: byId(alice.id), audience: ["chat"] });
    expect(await reasonOf(app.client(UserService, signedToken).getUser({ ref: me }))).toBe("TOKEN_INVALID");
    expect(await system.verifyToken({ token: signedToken })).toMatchObject({ active: true });
  });

  test.each([
    ["no user", {}, "ref"],
    ["a life under a second", { ttl: durationFromMs(999) }, "ttl"],
    ["a life over the project's maximum", { ttl: durationFromMs(31 * 86_400_000) }, "ttl"],
    ["the longest life a message can hold", { ttl: { seconds: 315_576_000_000n, nanos: 0 } }, "ttl"],
    ["a registered claim", { claims: { sub: "another" } }, "claims.sub"],
    ["eleven audiences", { audience: Array.from({ length: 11 }, (_, i) => `a${i}`) }, "audience"],
    ["an audience twice", { audience: ["a", "a"] }, "audience"],
    ["an empty audience", { audience: [""] }, "audience[0]"],
  ])("refuses %s and says where", async (name, request, field) => {
    const ref = name === "no user" ? {} : { ref: byId(alice.id) };
    const { reason, fields } = await refusalOf(system.issueToken({ ...ref, ...request }));
    expect({ reason, fields }).toEqual({ reason: "REQUEST_INVALID", fields: [field] });
  });

  test("knows no user of another project", async () => {
    const stranger = (await app.project()).system(TokenService);
    expect(await reasonOf(stranger.issueToken({ ref: byId(alice.id) }))).toBe("USER_NOT_FOUND");
  });
});

describe("VerifyToken", () => {
  test("answers for a good token what is known of it and its user", async () => {
    const bob = await project.signedInUser("bob");
    await app.clock.advance(10_000);
    const answer = await system.verifyToken({ token: bob.token });
    expect(answer).toMatchObject({ active: true, reason: ErrorReason.UNSPECIFIED });
    expect(answer.user).toMatchObject({ id: bob.id, externalId: "bob" });
    expect(answer.token).toMatchObject({ userId: bob.id, revoked: false });
    const ends = Number(answer.token?.expireTime?.seconds) * 1_000;
    expect(answer.token?.ttl).toMatchObject(durationFromMs(ends - app.clock.now()));
  });

  test("answers why a token is not valid, and nothing else", async () => {
    const short = await system.issueToken({ ref: byId(alice.id), ttl: durationFromMs(1_000) });
    const carol = await project.signedInUser("carol");
    await project.system(UserService).deleteUser({ ref: byId(carol.id) });
    await app.clock.advance(1_000);
    const other = await (await app.project()).signedInUser();
    for (const [token, reason] of [
      [short.signedToken, ErrorReason.TOKEN_EXPIRED],
      [carol.token, ErrorReason.TOKEN_REVOKED],
      [other.token, ErrorReason.TOKEN_INVALID],
      [project.accessKey, ErrorReason.TOKEN_INVALID],
      ["x", ErrorReason.TOKEN_INVALID],
      ["x".repeat(16_384), ErrorReason.TOKEN_INVALID],
    ] as const) {
      const answer = await system.verifyToken({ token });
      expect(answer).toMatchObject({ active: false, reason });
      expect(answer.token ?? answer.user).toBeUndefined();
    }
  });
});

describe("a call", () => {
  test("with the token of a deleted user is refused at once", async () => {
    const dave = await project.signedInUser("dave");
    const client = app.client(UserService, dave.token);
    expect((await client.getUser({ ref: me })).user?.id).toBe(dave.id);
    await project.system(UserService).deleteUser({ ref: byId(dave.id) });
    expect(await reasonOf(client.getUser({ ref: me }))).toBe("TOKEN_REVOKED");
  });

  test("with a token whose time is over is refused as expired, with one that was changed as invalid", async () => {
    const { signedToken } = await system.issueToken({ ref: byId(alice.id), ttl: durationFromMs(1_000) });
    const changed = signedToken.replace(/.$/, (last) => (last === "A" ? "B" : "A"));
    expect(await reasonOf(app.client(UserService, changed).getUser({ ref: me }))).toBe("TOKEN_INVALID");
    await app.clock.advance(1_000);
    expect(await reasonOf(app.client(UserService, signedToken).getUser({ ref: me }))).toBe("TOKEN_EXPIRED");
  });
});

test("ListSigningKeys shows each key as it is published, the last to sign first", async () => {
  const own = await app.project();
  await own.system(ProjectService).updateProject({
    projectId: own.id,
    settings: { signingAlgorithm: SigningAlgorithm.ES256 },
  });
  const { keys } = await own.system(TokenService).listSigningKeys({});
  expect(keys).toMatchObject([
    { algorithm: SigningAlgorithm.ES256, state: SigningKeyState.PREPARED },
    { algorithm: SigningAlgorithm.ED25519, state: SigningKeyState.ACTIVE },
  ]);
  for (const key of keys) {
    expect(JSON.parse(key.publicJwk)).toMatchObject({ kid: key.id, use: "sig" });
    expect(JSON.parse(key.publicJwk)).not.toHaveProperty("d");
  }
});

describe("RotateSigningKey", () => {
  test("answers the key with its times, as it is listed then", async () => {
    const own = await app.project();
    const alice = await own.signedInUser();
    const { key: prepared } = await own.system(TokenService).rotateSigningKey({ mode: RotationMode.GRACEFUL });
    const { keys } = await own.system(TokenService).listSigningKeys({});
    expect(keys[0]).toEqual(prepared);
    const now = app.clock.now();
    expect(prepared).toMatchObject({
      state: SigningKeyState.PREPARED,
      createTime: timestampFromMs(now),
      activateTime: timestampFromMs(now + app.config.signingKeyPrepareMs),
      liveTokens: 0n,
    });
    expect(prepared?.retireTime ?? prepared?.safeToRetireTime).toBeUndefined();
    expect(keys[1]).toMatchObject({
      state: SigningKeyState.ACTIVE,
      retireTime: prepared?.activateTime,
      liveTokens: 1n,
      safeToRetireTime: { seconds: expect.any(BigInt) },
    });
    expect((await own.system(TokenService).verifyToken({ token: alice.token })).active).toBe(true);
  });

  test("with REVOKE_ALL refuses the calls of everyone who comes with an old token", async () => {
    const own = await app.project();
    const alice = await own.signedInUser();
    const client = app.client(UserService, alice.token);
    expect((await client.getUser({ ref: me })).user?.id).toBe(alice.id);
    const { key } = await own.system(TokenService).rotateSigningKey({ mode: RotationMode.REVOKE_ALL });
    expect(key).toMatchObject({ state: SigningKeyState.ACTIVE, activateTime: key?.createTime });
    expect(await reasonOf(client.getUser({ ref: me }))).toBe("TOKEN_INVALID");
    const verified = await own.system(TokenService).verifyToken({ token: alice.token });
    expect(verified).toMatchObject({ active: false, reason: ErrorReason.TOKEN_INVALID });
  });

  test.each([
    ["no mode", {}],
    ["a mode that is none", { mode: 7 as RotationMode }],
  ])("refuses %s", async (_name, request) => {
    const { reason, fields } = await refusalOf(system.rotateSigningKey(request));
    expect({ reason, fields }).toEqual({ reason: "REQUEST_INVALID", fields: ["mode"] });
  });

  test("is open to the operator, who has to name a project that there is", async () => {
    const own = await app.project();
    const operator = app.operator(TokenService);
    const mode = RotationMode.GRACEFUL;
    const { key } = await operator.rotateSigningKey({ mode, projectId: own.id });
    const { keys } = await operator.listSigningKeys({ projectId: own.id });
    expect(keys[0]).toEqual(key);
    expect((await refusalOf(operator.rotateSigningKey({ mode }))).fields).toEqual(["project_id"]);
    expect((await refusalOf(operator.listSigningKeys({}))).fields).toEqual(["project_id"]);
    const projectId = "00000000-0000-7000-8000-000000000000";
    expect(await reasonOf(operator.rotateSigningKey({ mode, projectId }))).toBe("PROJECT_NOT_FOUND");
    expect(await reasonOf(operator.listSigningKeys({ projectId }))).toBe("PROJECT_NOT_FOUND");
  });
});
