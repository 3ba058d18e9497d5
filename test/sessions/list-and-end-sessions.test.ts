import { timestampMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf } from "../support/refusal.ts";
import { settledEvents } from "../support/settled-events.ts";
import { startApp } from "../support/start-app.ts";
import { byLogin, guest, ME, PASSWORD, refresh } from "./sessions-fixture.ts";

const app = await startApp();
const { client, clock, db, project } = app;
const mine = await project();
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const sessions = (credential: string) => client(SessionService, credential);
/** What a user calls with that signed in. */
async function signedIn(own = mine) {
  const { userId, sessionId, grant } = await guest(app, own);
  const { sessionToken, refreshToken, accessToken } = grant;
  return { id: userId, sessionId, token: sessionToken, refreshToken, accessToken };
}

let users = 0;

/** A user with a password, signed in, and what it calls with. */
async function fullUser(own = mine, headers: Record<string, string> = {}) {
  const login = `user${users++}`;
  const { user, grant } = await client(SessionService, undefined, headers).signUp({
    projectId: own.id,
    login,
    password: PASSWORD,
  });
  return { id: user?.id ?? "", login, sessionId: grant?.session?.id ?? "", token: grant?.sessionToken ?? "" };
}

/** Another session of the same user. */
async function another(own: typeof mine, { login }: { login: string }) {
  const { grant } = await client(SessionService).createSession({ projectId: own.id, credential: byLogin(login) });
  return { sessionId: grant?.session?.id ?? "", token: grant?.sessionToken ?? "" };
}

const isIn = async (credential: string) => (await client(UserService, credential).getUser(ME)).user?.id;

describe("sessions are listed", () => {
  test("to their user and to `.system`, newest first, with the one that asks marked, in pages", async () => {
    const own = await project();
    const first = await fullUser(own, { "user-agent": `Firefox  on\tLinux ${"x".repeat(300)}` });
    clock.step(1_000);
    const second = await another(own, first);
    clock.step(1_000);
    const third = await another(own, first);
    const listed = await sessions(second.token).listSessions(ME);
    expect(listed.sessions.map(({ id }) => id)).toEqual([third.sessionId, second.sessionId, first.sessionId]);
    expect(listed.sessions.map(({ current }) => current)).toEqual([false, true, false]);
    expect(listed.sessions[2]?.userAgent).toMatch(/^Firefox {1,2}on Linux x+$/);
    expect(listed.sessions[2]?.userAgent).toHaveLength(256);
    const ref = { ref: { ref: { case: "id", value: first.id } } } as const;
    const page = await own.system(SessionService).listSessions({ ...ref, pageSize: 2 });
    expect(page.sessions.map(({ id }) => id)).toEqual([third.sessionId, second.sessionId]);
    const rest = await own.system(SessionService).listSessions({ ...ref, pageSize: 2, pageToken: page.nextPageToken });
    expect(rest.sessions.map(({ id }) => id)).toEqual([first.sessionId]);
    expect(rest.nextPageToken).toBe("");
    expect(await reasonOf(own.system(SessionService).listSessions({ ...ref, pageToken: "x" }))).toBe("REQUEST_INVALID");
  });

  test("for as long as they go on or can be refreshed", async () => {
    const own = await project({ refreshTokenTtl: { seconds: 86_400n } } as never);
    const user = await signedIn(own);
    const ref = { ref: { ref: { case: "id", value: user.id } } } as const;
    clock.step(3 * HOUR);
    const [listed] = (await own.system(SessionService).listSessions(ref)).sessions;
    expect(listed?.id).toBe(user.sessionId);
    expect(timestampMs(listed?.expireTime as never)).toBeLessThan(clock.now());
    clock.step(21 * HOUR);
    expect((await own.system(SessionService).listSessions(ref)).sessions).toEqual([]);
  });

  test("to nobody else", async () => {
    const own = await project();
    const [one, other] = [await signedIn(own), await signedIn(own)];
    const ref = { ref: { ref: { case: "id" as const, value: one.id } } };
    expect(await reasonOf(sessions(other.token).listSessions(ref))).toBe("PRINCIPAL_NOT_ALLOWED");
    expect(await reasonOf(sessions(other.token).getSession({ sessionId: one.sessionId }))).toBe("SESSION_NOT_FOUND");
    expect((await sessions(one.token).getSession({})).session).toMatchObject({ id: one.sessionId, current: true });
    const asked = await own.system(SessionService).getSession({ sessionId: one.sessionId });
    expect(asked.session).toMatchObject({ id: one.sessionId, current: false });
  });

  test("a call outside of any session has no current one", async () => {
    const { token } = await mine.signedInUser();
    expect(await reasonOf(sessions(token).getSession({}))).toBe("SESSION_NOT_FOUND");
    expect(await reasonOf(sessions(token).deleteSession({}))).toBe("SESSION_NOT_FOUND");
    expect(await reasonOf(mine.system(SessionService).getSession({}))).toBe("SESSION_NOT_FOUND");
  });
});

describe("signing out", () => {
  test("ends the session with all its tokens, once, and says so", async () => {
    const own = await project();
    const user = await signedIn(own);
    await sessions(user.token).deleteSession({});
    expect(await reasonOf(isIn(user.token))).toBe("SESSION_NOT_FOUND");
    expect(await reasonOf(isIn(user.accessToken))).toBe("TOKEN_REVOKED");
    expect(await reasonOf(refresh(app, own, user.refreshToken))).toBe("SESSION_NOT_FOUND");
    await own.system(SessionService).deleteSession({ sessionId: user.sessionId });
    const ended = (await settledEvents(db, own.id)).filter(({ type }) => type === "session.ended");
    expect(ended.map(({ data }) => data)).toEqual([{ session_id: user.sessionId, user_id: user.id }]);
    const { rows } = await db.pool.query("select cause from revocations where session_id = $1", [user.sessionId]);
    expect(rows).toEqual([{ cause: "SIGNED_OUT" }]);
  });

  test("of all others leaves the current one", async () => {
    const own = await project();
    const first = await fullUser(own);
    const second = await another(own, first);
    const third = await another(own, first);
    await sessions(second.token).deleteSession({ others: true });
    expect(await isIn(second.token)).toBe(first.id);
    for (const { token } of [first, third]) expect(await reasonOf(isIn(token))).toBe("SESSION_NOT_FOUND");
    const ended = (await settledEvents(db, own.id)).filter(({ type }) => type === "session.ended");
    expect(ended).toHaveLength(2);
  });

  test("is for one's own sessions alone", async () => {
    const [one, other] = [await signedIn(), await signedIn()];
    await sessions(other.token).deleteSession({ sessionId: one.sessionId });
    await sessions(other.token).deleteSession({ sessionId: one.sessionId, others: true });
    await (await project()).system(SessionService).deleteSession({ sessionId: one.sessionId });
    expect(await isIn(one.token)).toBe(one.id);
    await mine.system(SessionService).deleteSession({ sessionId: one.sessionId });
    expect(await reasonOf(isIn(one.token))).toBe("SESSION_NOT_FOUND");
  });
});
