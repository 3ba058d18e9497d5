import { decodeJwt } from "jose";
import { describe, expect, test } from "vitest";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { RefreshOutcome, TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { parseRefreshToken, refreshToken as spell } from "../../src/sessions/session-tokens.ts";
import { reasonOf } from "../support/refusal.ts";
import { settledEvents } from "../support/settled-events.ts";
import { startApp } from "../support/start-app.ts";
import { guest, ME, refresh } from "./sessions-fixture.ts";

const app = await startApp();
const { client, clock, db, project } = app;
const own = await project();
const { ROTATED, REPLAYED } = RefreshOutcome;
const GRACE = 30_000;

const isIn = async (credential: string) => (await client(UserService, credential).getUser(ME)).user?.id;
const next = (token: string) => refresh(app, own, token);
/** The successor of a token. */
const successor = async (token: string) => (await next(token)).grant?.refreshToken ?? "";
const causes = async (sessionId: string) =>
  (await db.pool.query("select cause from revocations where session_id = $1", [sessionId])).rows.map(
    ({ cause }) => cause,
  );

describe("a refresh", () => {
  test("gives the next refresh token, a new access token and the session token there was", async () => {
    const { grant, userId, sessionId } = await guest(app, own);
    clock.step(60_000);
    const { grant: given, user, outcome } = await next(grant.refreshToken);
    expect([outcome, user?.id, given?.session?.id]).toEqual([ROTATED, userId, sessionId]);
    expect(given?.sessionToken).toBe(grant.sessionToken);
    expect(given?.refreshToken).not.toBe(grant.refreshToken);
    expect(decodeJwt(given?.accessToken ?? "")).toMatchObject({
      sub: userId,
      sid: sessionId,
      ext: userId,
      aud: own.id,
    });
    expect(await isIn(given?.accessToken ?? "")).toBe(userId);
    expect(await isIn(grant.accessToken)).toBe(userId);
  });

  test("can be made as often as one likes, each with the token before it", async () => {
    let token = (await guest(app, own)).grant.refreshToken;
    for (let n = 0; n < 20; n++) token = await successor(token);
    expect(parseRefreshToken(token)?.counter).toBe(20);
  });

  test("of twenty tabs at once gives all of them one successor, and one of them made it", async () => {
    const { grant } = await guest(app, own);
    const answers = await Promise.all(Array.from({ length: 20 }, () => next(grant.refreshToken)));
    expect(new Set(answers.map((answer) => answer.grant?.refreshToken)).size).toBe(1);
    expect(answers.filter(({ outcome }) => outcome === ROTATED)).toHaveLength(1);
    expect(answers.filter(({ outcome }) => outcome === REPLAYED)).toHaveLength(19);
  });

  test("whose answer was lost is repeated within 30 seconds, which repeating does not make longer", async () => {
    const { grant, sessionId } = await guest(app, own);
    const given = await successor(grant.refreshToken);
    clock.step(GRACE / 2);
    expect(await successor(grant.refreshToken)).toBe(given);
    clock.step(GRACE / 2);
    expect(await next(grant.refreshToken)).toMatchObject({ outcome: REPLAYED, grant: { refreshToken: given } });
    clock.step(1);
    expect(await reasonOf(next(grant.refreshToken))).toBe("REFRESH_TOKEN_REUSED");
    expect(await causes(sessionId)).toEqual(["REFRESH_REUSED"]);
  });

  test("ends with 30 days without one, or a year after the sign-in", async () => {
    const idle = await project({ refreshTokenTtl: { seconds: 3_600n } } as never);
    const { grant } = await guest(app, idle);
    clock.step(3_600_000 - 1);
    const { grant: given } = await refresh(app, idle, grant.refreshToken);
    clock.step(3_600_000);
    expect(await reasonOf(refresh(app, idle, given?.refreshToken ?? ""))).toBe("SESSION_NOT_FOUND");
  });

  test("makes a session token that is over anew, and its repetition gives that one", async () => {
    const { grant, sessionId, userId } = await guest(app, own);
    clock.step(3 * 3_600_000);
    const { grant: given } = await next(grant.refreshToken);
    expect(given?.session?.id).toBe(sessionId);
    expect(given?.sessionToken).not.toBe(grant.sessionToken);
    expect((await next(grant.refreshToken)).grant?.sessionToken).toBe(given?.sessionToken);
    expect(await isIn(given?.sessionToken ?? "")).toBe(userId);
    expect(await reasonOf(isIn(grant.sessionToken))).toBe("SESSION_NOT_FOUND");
  });

  test("is refused while a suspension blocks the sign-in", async () => {
    const { grant, userId } = await guest(app, own);
    const ref = { ref: { case: "id", value: userId } } as const;
    // One that began before the session did does not end it: the session was made while it paused.
    await own.system(UserService).suspendUser({ ref, suspension: { blocksSignIn: true } });
    expect(["USER_SUSPENDED", "SESSION_NOT_FOUND"]).toContain(await reasonOf(next(grant.refreshToken)));
  });
});

describe("a token that comes back after its time is reuse:", () => {
  test("the thief was first", async () => {
    const { grant, sessionId, userId } = await guest(app, own);
    const stolen = grant.refreshToken;
    const thief = await next(stolen);
    clock.step(GRACE + 1);
    expect(await reasonOf(next(stolen))).toBe("REFRESH_TOKEN_REUSED");
    expect(await reasonOf(next(thief.grant?.refreshToken ?? ""))).toBe("SESSION_NOT_FOUND");
    expect(await reasonOf(isIn(thief.grant?.sessionToken ?? ""))).toBe("SESSION_NOT_FOUND");
    expect(await reasonOf(isIn(thief.grant?.accessToken ?? ""))).toBe("TOKEN_REVOKED");
    const detected = (await settledEvents(db, own.id)).filter(
      ({ type, userId: its }) => type === "session.reuse_detected" && its === userId,
    );
    expect(detected.map(({ data }) => data)).toEqual([{ session_id: sessionId, user_id: userId, tokens_behind: 1 }]);
  });

  test("the owner was first", async () => {
    const { grant, sessionId } = await guest(app, own);
    const stolen = grant.refreshToken;
    const owner = await successor(await successor(stolen));
    // Two behind is no tab and no lost answer, however soon it comes.
    expect(await reasonOf(next(stolen))).toBe("REFRESH_TOKEN_REUSED");
    expect(await reasonOf(next(owner))).toBe("SESSION_NOT_FOUND");
    expect(await causes(sessionId)).toEqual(["REFRESH_REUSED"]);
  });

  test("twenty at once end the session once", async () => {
    const { grant, sessionId } = await guest(app, own);
    await successor(grant.refreshToken);
    clock.step(GRACE + 1);
    const reasons = await Promise.all(Array.from({ length: 20 }, () => reasonOf(next(grant.refreshToken))));
    expect(reasons).toContain("REFRESH_TOKEN_REUSED");
    for (const reason of reasons) expect(["REFRESH_TOKEN_REUSED", "SESSION_NOT_FOUND"]).toContain(reason);
    expect(await causes(sessionId)).toEqual(["REFRESH_REUSED"]);
  });

  test("other sessions of the project go on", async () => {
    const [one, other] = [await guest(app, own), await guest(app, own)];
    await successor(await successor(one.grant.refreshToken));
    await reasonOf(next(one.grant.refreshToken));
    expect((await next(other.grant.refreshToken)).outcome).toBe(ROTATED);
  });
});

describe("what is no refresh token of the project ends nothing:", () => {
  test("one that is spelled wrong, or is for something else", async () => {
    const { grant } = await guest(app, own);
    const { refreshToken, sessionToken, accessToken } = grant;
    const flipped = refreshToken.endsWith("A") ? "B" : "A";
    const spellings = [
      refreshToken.slice(0, -1),
      `${refreshToken}A`,
      `${refreshToken.slice(0, -1)}${flipped}`,
      `${refreshToken}=`,
    ];
    for (const token of [
      ...spellings,
      sessionToken,
      sessionToken.replace("mst_", "mrt_"),
      accessToken.slice(0, 200),
      "mrt_",
      "x",
    ])
      expect(await reasonOf(next(token))).toBe("TOKEN_INVALID");
    expect(await reasonOf(client(TokenService).refreshToken({ projectId: own.id }))).toBe("SESSION_NOT_FOUND");
    expect((await next(refreshToken)).outcome).toBe(ROTATED);
  });

  test("one that was made up: an older or a later number, another session's secret", async () => {
    const [one, other] = [await guest(app, own), await guest(app, own)];
    const token = await successor(await successor(one.grant.refreshToken));
    const guess = Buffer.alloc(32);
    for (const counter of [0, 1, 2, 3, 1_000])
      expect(await reasonOf(next(spell(guess, one.sessionId, counter)))).toBe("SESSION_NOT_FOUND");
    const theirs = parseRefreshToken(other.grant.refreshToken);
    expect(theirs?.sessionId).toBe(other.sessionId);
    expect((await next(token)).outcome).toBe(ROTATED);
  });

  test("one of another project", async () => {
    const { grant } = await guest(app, own);
    expect(await reasonOf(refresh(app, await project(), grant.refreshToken))).toBe("SESSION_NOT_FOUND");
    expect(
      await reasonOf((await project()).system(TokenService).refreshToken({ refreshToken: grant.refreshToken })),
    ).toBe("SESSION_NOT_FOUND");
    expect((await next(grant.refreshToken)).outcome).toBe(ROTATED);
  });
});

describe("a refresh races with the end of the session:", () => {
  /** Whether anything that the sign-in or a refresh gave still lets in. */
  const livesOn = async (tokens: readonly string[]) => {
    const calls = await Promise.allSettled(tokens.map((token) => isIn(token)));
    return calls.some(({ status }) => status === "fulfilled");
  };

  test("signing out", async () => {
    for (let round = 0; round < 10; round++) {
      const { grant } = await guest(app, own);
      const calls = Array.from({ length: 5 }, () => next(grant.refreshToken));
      const [answers] = await Promise.all([
        Promise.allSettled(calls),
        client(SessionService, grant.sessionToken).deleteSession({}),
      ]);
      const given = answers.flatMap((it) => (it.status === "fulfilled" ? [it.value.grant] : []));
      const tokens = given.flatMap((it) => [it?.accessToken ?? "", it?.sessionToken ?? ""]);
      expect(await livesOn([...tokens, grant.sessionToken, grant.accessToken])).toBe(false);
      for (const it of given) expect(await reasonOf(next(it?.refreshToken ?? ""))).toBe("SESSION_NOT_FOUND");
    }
  });

  test("the user's deletion", async () => {
    for (let round = 0; round < 10; round++) {
      const { grant, userId } = await guest(app, own);
      const gone = own.system(UserService).deleteUser({ ref: { ref: { case: "id", value: userId } } });
      const [answers] = await Promise.all([
        Promise.allSettled([next(grant.refreshToken), next(grant.refreshToken)]),
        gone,
      ]);
      const given = answers.flatMap((it) => (it.status === "fulfilled" ? [it.value.grant?.accessToken ?? ""] : []));
      expect(await livesOn(given)).toBe(false);
      const { rows } = await db.pool.query("select from sessions where user_id = $1", [userId]);
      expect(rows).toEqual([]);
    }
  });
});
