import { generateKeyPairSync, sign } from "node:crypto";
import { expect, onTestFinished, test } from "vitest";
import { TokenRefused, type Verifier } from "../../src/client/verifier.ts";
import { SigningAlgorithm } from "../../src/gen/muster/v1/project_pb.ts";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { RotationMode, TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { deploy, wayTo } from "./verifier-fixture.ts";

/** Why the verifier refuses a token; `passes`: it does not. */
async function fate(verifier: Verifier, token: string): Promise<string> {
  try {
    await verifier.verify(token);
    return "passes";
  } catch (error) {
    if (error instanceof TokenRefused) return error.reason;
    throw error;
  }
}

/** Every answer has a second to come true: the time that a revocation may take. */
const WITHIN_A_SECOND = { timeout: 1_000, interval: 5 };
const named = (id: string) => ({ ref: { case: "id", value: id } }) as const;

test("says whose token it is, for each algorithm a project may sign with", async () => {
  const { project, verifier, token } = await deploy();
  const it = await verifier();
  for (const algorithm of [SigningAlgorithm.ES256, SigningAlgorithm.RS256, SigningAlgorithm.ED25519]) {
    const settings = { signingAlgorithm: algorithm };
    await project.system(ProjectService).updateProject({ projectId: project.id, settings });
    await project.system(TokenService).rotateSigningKey({ mode: RotationMode.REVOKE_ALL });
    const { token: signed, tokenId, userId } = await token();
    expect(await it.verify(signed)).toMatchObject({ userId, tokenId, sessionId: undefined, audience: [project.id] });
  }
});

test("refuses a token within a second of its revocation, and lets others of its user pass", async () => {
  const { project, verifier, token } = await deploy();
  const it = await verifier();
  const { token: ended, tokenId, userId } = await token(false);
  const { signedToken: other } = await project.system(TokenService).issueToken({ ref: named(userId) });
  expect([await fate(it, ended), await fate(it, other)]).toEqual(["passes", "passes"]);
  await project.system(TokenService).revokeToken({ tokenId });
  await expect.poll(() => fate(it, ended), WITHIN_A_SECOND).toBe("TOKEN_REVOKED");
  expect(await fate(it, other)).toBe("passes");
});

test("refuses all that a user had, stateless tokens included, and lets pass what it is issued afterwards", async () => {
  const { project, verifier, token } = await deploy();
  const it = await verifier();
  const { token: ended, userId } = await token();
  expect(await fate(it, ended)).toBe("passes");
  await project.system(TokenService).revokeUserTokens({ ref: named(userId) });
  await expect.poll(() => fate(it, ended), WITHIN_A_SECOND).toBe("TOKEN_REVOKED");
  const { signedToken } = await project.system(TokenService).issueToken({ ref: named(userId), stateless: true });
  expect(await fate(it, signedToken)).toBe("passes");
});

test("refuses the access tokens of a session within a second of its end", async () => {
  const { server, project, verifier } = await deploy();
  const it = await verifier();
  const credential = { case: "guest", value: { name: "Ada" } } as const;
  const { grant } = await server.client(SessionService).createSession({ projectId: project.id, credential });
  const { accessToken = "", session, sessionToken } = grant ?? {};
  expect((await it.verify(accessToken)).sessionId).toBe(session?.id);
  await server.client(SessionService, sessionToken).deleteSession({});
  await expect.poll(() => fate(it, accessToken), WITHIN_A_SECOND).toBe("TOKEN_REVOKED");
});

test("refuses the tokens of a user within a second of its suspension and of its deletion", async () => {
  const { project, verifier, token } = await deploy();
  const it = await verifier();
  const [suspended, deleted] = [await token(), await token()];
  expect([await fate(it, suspended.token), await fate(it, deleted.token)]).toEqual(["passes", "passes"]);
  const suspension = { reason: "spam", blocksSignIn: true };
  await project.system(UserService).suspendUser({ ref: named(suspended.userId), suspension });
  await expect.poll(() => fate(it, suspended.token), WITHIN_A_SECOND).toBe("TOKEN_REVOKED");
  await project.system(UserService).deleteUser({ ref: named(deleted.userId) });
  await expect.poll(() => fate(it, deleted.token), WITHIN_A_SECOND).toBe("TOKEN_REVOKED");
});

test("refuses every token within a second of the revocation of the keys, and takes those of the new key", async () => {
  const { project, verifier, token } = await deploy();
  const it = await verifier();
  const { token: ended } = await token();
  expect(await fate(it, ended)).toBe("passes");
  await project.system(TokenService).rotateSigningKey({ mode: RotationMode.REVOKE_ALL });
  await expect.poll(() => fate(it, ended), WITHIN_A_SECOND).toMatch(/^TOKEN_(REVOKED|INVALID)$/);
  const { token: fresh } = await token();
  await expect.poll(() => fate(it, fresh), { timeout: 3_000 }).toBe("passes");
});

test("knows of what was revoked before it was there", async () => {
  const { project, verifier, token } = await deploy();
  const { token: ended, tokenId } = await token(false);
  const { token: good } = await token();
  await project.system(TokenService).revokeToken({ tokenId });
  const it = await verifier();
  expect([await fate(it, ended), await fate(it, good)]).toEqual(["TOKEN_REVOKED", "passes"]);
});

test("refuses what is not a token of the project", async () => {
  const { server, issuer, verifier, token } = await deploy();
  const it = await verifier();
  const { token: good } = await token();
  const [header = "", claims = "", signature = ""] = good.split(".");
  const other = await (await server.project()).signedInUser();
  const { privateKey } = generateKeyPairSync("ed25519");
  const forged = `${header}.${claims}.${sign(null, Buffer.from(`${header}.${claims}`), privateKey).toString("base64url")}`;
  const none = Buffer.from(JSON.stringify({ alg: "none", typ: "at+jwt" })).toString("base64url");
  const hmac = Buffer.from(Buffer.from(header, "base64url").toString().replace("EdDSA", "HS256")).toString("base64url");
  const flipped = `${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`;
  for (const bad of ["", "a.b.c", issuer, `${good}=`, ` ${good}`, forged, other.token, `${none}.${claims}.`])
    expect(await fate(it, bad)).toBe("TOKEN_INVALID");
  expect(await fate(it, `${hmac}.${claims}.${signature}`)).toBe("TOKEN_INVALID");
  expect(await fate(it, `${header}.${claims}.${flipped}`)).toBe("TOKEN_INVALID");
  expect(await fate(it, good)).toBe("passes");
});

test("refuses a token for somebody else unless it is that audience, and one that has expired", async () => {
  const { project, verifier, token } = await deploy();
  const { userId } = await token();
  const issue = (input: object) =>
    project.system(TokenService).issueToken({ ref: named(userId), stateless: true, ...input });
  const { signedToken: foreign } = await issue({ audience: ["billing"] });
  const { signedToken: short } = await issue({ ttl: { seconds: 1n } });
  expect(await fate(await verifier(), foreign)).toBe("TOKEN_INVALID");
  expect(await fate(await verifier({ audience: "billing" }), foreign)).toBe("passes");
  const it = await verifier();
  await expect.poll(() => fate(it, short)).toBe("TOKEN_EXPIRED");
});

test("closed: once it has heard nothing for too long, it refuses all until it has heard again", async () => {
  const { server, issuer, project, verifier, token } = await deploy();
  await using way = await wayTo(server.url);
  const it = await verifier({ issuer, url: way.url, maxStalenessMs: 1_000 });
  const [good, ended] = [await token(), await token(false)];
  expect(await fate(it, good.token)).toBe("passes");
  way.cut();
  await expect.poll(() => fate(it, good.token)).toBe("VERIFIER_STALE");
  expect(it.status()).toMatchObject({ connected: false, stale: true });
  expect(it.status().staleMs).toBeGreaterThan(1_000);
  await project.system(TokenService).revokeToken({ tokenId: ended.tokenId });
  way.open();
  await expect.poll(() => fate(it, good.token)).toBe("passes");
  // What ended while it was away is known from its first answer on.
  expect(await fate(it, ended.token)).toBe("TOKEN_REVOKED");
  expect(it.status()).toMatchObject({ connected: true, stale: false });
});

test("open: it goes on with what it knows, and says that it is stale", async () => {
  const { server, issuer, verifier, token } = await deploy();
  await using way = await wayTo(server.url);
  const errors: unknown[] = [];
  const onError = (error: unknown) => void errors.push(error);
  const it = await verifier({ issuer, url: way.url, maxStalenessMs: 1_000, whenStale: "accept", onError });
  const { token: good } = await token();
  expect(await fate(it, good)).toBe("passes");
  way.cut();
  await expect.poll(() => it.status().stale).toBe(true);
  expect(await fate(it, good)).toBe("passes");
  expect(errors.length).toBeGreaterThan(0);
});

test("a stream that falls silent without a word is noticed and opened anew", async () => {
  const { server, issuer, project, verifier, token } = await deploy();
  await using way = await wayTo(server.url);
  const clock = createFakeClock(Date.now());
  const it = await verifier({ issuer, url: way.url, clock });
  const { token: ended, tokenId } = await token(false);
  expect(await fate(it, ended)).toBe("passes");
  way.silence();
  await project.system(TokenService).revokeToken({ tokenId });
  await clock.advance(9_999);
  expect(it.status().connected).toBe(true);
  await clock.advance(2);
  await expect.poll(() => it.status().connected).toBe(false);
  expect(await fate(it, ended)).toBe("VERIFIER_STALE");
  way.open();
  await expect
    .poll(async () => {
      await clock.advance(1_000);
      return fate(it, ended);
    })
    .toBe("TOKEN_REVOKED");
});

test("before the first answer it is stale, and options that cannot be are refused at once", async () => {
  const { issuer, verifier, project } = await deploy();
  const { createVerifier } = await import("../../src/client/verifier.ts");
  const away = createVerifier({ issuer, url: "http://127.0.0.1:1", accessKey: project.accessKey });
  onTestFinished(() => away[Symbol.asyncDispose]());
  expect(await fate(away, "a.b.c")).toBe("VERIFIER_STALE");
  expect(away.status()).toEqual({
    connected: false,
    staleMs: Number.POSITIVE_INFINITY,
    stale: true,
    keys: 0,
    revocations: 0,
  });
  await expect(verifier({ issuer: "https://elsewhere.test" })).rejects.toThrow(TypeError);
  await expect(verifier({ maxStalenessMs: 10 })).rejects.toThrow(TypeError);
});
