import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { alice, bob, claimsOf, NO_ID, outcomeOf, told, withUsers } from "./token-fixture.ts";

const app = await startApp();
const { client, clock } = app;
const MINUTE_MS = 60_000;

const inMinutes = (minutes: number) => durationFromMs(minutes * MINUTE_MS);

test("an extended token has the same id, user, claims and audience, and its life counts from now", async () => {
  const { id, tokens } = await withUsers(app);
  const audience = [id, "another"];
  const first = await tokens.issueToken({ ref: alice, ttl: inMinutes(10), claims: { role: "admin" }, audience });
  await clock.advance(5 * MINUTE_MS);
  const second = await tokens.extendToken({ tokenId: first.token?.id ?? "", ttl: inMinutes(20) });
  const now = clock.now() / 1_000;
  expect(second.token).toMatchObject({ id: first.token?.id, userId: first.token?.userId, revoked: false });
  expect(told(second.token)).toEqual({ issued: now, expires: now + 1_200, ttl: 1_200, revoked: false });
  const { signedToken: _, token: __, ...accepted } = second;
  expect(accepted).toMatchObject({
    supportedHeaders: first.supportedHeaders,
    supportedCookies: first.supportedCookies,
  });
  const before = claimsOf(first.signedToken);
  expect(claimsOf(second.signedToken)).toEqual({ ...before, iat: now, exp: now + 1_200 });
  expect(before).toMatchObject({ role: "admin", aud: audience });
  const got = await tokens.getToken({ tokenId: first.token?.id ?? "" });
  expect(told(got.token)).toEqual(told(second.token));
});

test("the JWT before passes until its own end, the new one until the later one", async () => {
  const { tokens } = await withUsers(app);
  const first = await tokens.issueToken({ ref: alice, ttl: inMinutes(10) });
  const second = await tokens.extendToken({ tokenId: first.token?.id ?? "", ttl: inMinutes(20) });
  await clock.advance(10 * MINUTE_MS - 1);
  expect(await outcomeOf(app, first.signedToken)).toBe("answered");
  await clock.advance(1);
  expect(await outcomeOf(app, first.signedToken)).toBe("TOKEN_EXPIRED");
  expect(await outcomeOf(app, second.signedToken)).toBe("answered");
  await clock.advance(10 * MINUTE_MS);
  expect(await outcomeOf(app, second.signedToken)).toBe("TOKEN_EXPIRED");
});

test("a token never ends sooner for being extended, and lives the project's time unless the call says otherwise", async () => {
  const { tokens } = await withUsers(app);
  const { token } = await tokens.issueToken({ ref: alice, ttl: inMinutes(60) });
  const shorter = await tokens.extendToken({ tokenId: token?.id ?? "", ttl: inMinutes(1) });
  expect(told(shorter.token)).toEqual(told(token));
  const byDefault = await tokens.extendToken({ tokenId: token?.id ?? "" });
  expect(told(byDefault.token).ttl).toBe(86_400);
});

test("a revocation of the token ends every JWT of its id", async () => {
  const { tokens } = await withUsers(app);
  const first = await tokens.issueToken({ ref: alice });
  const second = await tokens.extendToken({ tokenId: first.token?.id ?? "" });
  await tokens.revokeToken({ tokenId: first.token?.id ?? "" });
  for (const { signedToken } of [first, second]) expect(await outcomeOf(app, signedToken)).toBe("TOKEN_REVOKED");
});

test("a user extends tokens of its own; another's is one that is not there", async () => {
  const { tokens, signedInUser } = await withUsers(app);
  const own = await tokens.issueToken({ ref: alice });
  const others = await tokens.issueToken({ ref: bob });
  const byAlice = client(TokenService, (await signedInUser("alice")).token);
  const extended = await byAlice.extendToken({ tokenId: own.token?.id ?? "" });
  expect(await outcomeOf(app, extended.signedToken)).toBe("answered");
  const refusals = [others.token?.id ?? "", NO_ID].map(async (tokenId) => {
    const { reason, error } = await refusalOf(byAlice.extendToken({ tokenId }));
    return { reason, code: error.code, message: error.rawMessage, details: error.details };
  });
  const [another, unknown] = await Promise.all(refusals);
  expect(another).toEqual(unknown);
  expect(unknown?.reason).toBe("TOKEN_NOT_FOUND");
});

describe("a token is not extended", () => {
  const refused = async (make: (its: Awaited<ReturnType<typeof withUsers>>) => Promise<string | undefined>) => {
    const its = await withUsers(app);
    const tokenId = (await make(its)) ?? "";
    return reasonOf(its.tokens.extendToken({ tokenId, ttl: inMinutes(1) }));
  };
  const issue = async ({ tokens }: Awaited<ReturnType<typeof withUsers>>, stateless = false) =>
    (await tokens.issueToken({ ref: alice, ttl: inMinutes(1), stateless })).token?.id ?? "";

  test("that was never issued, is no id, or is stateless", async () => {
    expect(await refused(async () => NO_ID)).toBe("TOKEN_NOT_FOUND");
    expect(await refused(async () => "no id")).toBe("TOKEN_NOT_FOUND");
    expect(await refused((its) => issue(its, true))).toBe("TOKEN_NOT_FOUND");
  });

  test("that has expired", async () => {
    const expired = refused(async (its) => {
      const id = await issue(its);
      await clock.advance(MINUTE_MS);
      return id;
    });
    expect(await expired).toBe("TOKEN_EXPIRED");
  });

  test("that was revoked, by itself or with the others", async () => {
    const one = refused(async (its) => {
      const tokenId = await issue(its);
      await its.tokens.revokeToken({ tokenId });
      return tokenId;
    });
    expect(await one).toBe("TOKEN_REVOKED");
    const all = refused(async (its) => {
      const tokenId = await issue(its);
      await its.tokens.revokeUserTokens({ ref: alice });
      return tokenId;
    });
    expect(await all).toBe("TOKEN_REVOKED");
  });

  test("while its user is suspended, nor afterwards", async () => {
    const its = await withUsers(app);
    const tokenId = await issue(its);
    const { user } = await its.users.suspendUser({ ref: alice, suspension: { blocksSignIn: true } });
    expect(await reasonOf(its.tokens.extendToken({ tokenId }))).toBe("USER_SUSPENDED");
    await its.users.liftSuspension({ ref: alice, suspensionId: user?.suspensions[0]?.id ?? "" });
    expect(await reasonOf(its.tokens.extendToken({ tokenId }))).toBe("TOKEN_REVOKED");
  });

  test("for longer than the project allows", async () => {
    const its = await withUsers(app);
    const tokenId = await issue(its);
    const asked = refusalOf(its.tokens.extendToken({ tokenId, ttl: inMinutes(31 * 24 * 60) }));
    expect(await asked).toMatchObject({ reason: "REQUEST_INVALID", fields: ["ttl"] });
  });
});
