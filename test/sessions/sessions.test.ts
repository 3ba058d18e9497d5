import { describe, expect, test } from "vitest";
import { ErrorReason } from "../../src/gen/muster/v1/error_reason_pb.ts";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { settledEvents } from "../support/settled-events.ts";
import { startApp } from "../support/start-app.ts";
import { guest, ME, PASSWORD, refresh } from "./sessions-fixture.ts";

const app = await startApp();
const { client, clock, db, project } = app;
const mine = await project();
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

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

const isIn = async (credential: string) => (await client(UserService, credential).getUser(ME)).user?.id;

describe("a guest", () => {
  test("is a user of its own, signed in without a credential", async () => {
    const { grant, userId } = await guest(app, mine, "Passer-by");
    const { user } = await mine.system(UserService).getUser({ ref: { ref: { case: "id", value: userId } } });
    expect(user).toMatchObject({ name: "Passer-by", guest: true, externalId: userId });
    expect(grant.session).toMatchObject({ userId, guest: true, current: true });
    expect(await isIn(grant.sessionToken)).toBe(userId);
    expect(await isIn(grant.accessToken)).toBe(userId);
  });

  test("is announced with its sign-in, each once", async () => {
    const { userId, sessionId } = await guest(app, mine);
    const events = (await settledEvents(db, mine.id)).filter((event) => event.userId === userId);
    expect(events.map(({ type }) => type)).toEqual(["user.created", "session.created"]);
    expect(events[1]?.data).toMatchObject({ session_id: sessionId, user_id: userId, external_id: userId, guest: true });
  });

  test("has a day, whatever it does", async () => {
    const own = await project({ sessionTtl: { seconds: 86_400n } } as never);
    const { grant } = await guest(app, own);
    for (let hour = 0; hour < 23; hour++) {
      clock.step(HOUR);
      await isIn(grant.sessionToken);
    }
    clock.step(HOUR - 1);
    await isIn(grant.sessionToken);
    clock.step(1);
    expect(await reasonOf(isIn(grant.sessionToken))).toBe("SESSION_NOT_FOUND");
  });
});

describe("a session token", () => {
  test("is taken as bearer, as `x-muster-token` and, with an origin that the project lists, as cookie", async () => {
    const own = await project({ corsOrigins: ["https://app.example"] });
    const { grant, userId } = await guest(app, own);
    const token = grant.sessionToken;
    const cookie = `other=1; __Host-muster-session=${token}`;
    for (const headers of [
      { authorization: `Bearer ${token}` },
      { "x-muster-token": token },
      { cookie, origin: "https://app.example" },
      { cookie, origin: "http://muster.test" },
    ])
      expect((await client(UserService, undefined, headers as Record<string, string>).getUser(ME)).user?.id).toBe(
        userId,
      );
    const asked = (headers: Record<string, string>) => client(UserService, undefined, headers).getUser(ME);
    expect(await reasonOf(asked({ cookie }))).toBe("ORIGIN_NOT_ALLOWED");
    expect(await reasonOf(asked({ cookie, origin: "https://evil.example" }))).toBe("ORIGIN_NOT_ALLOWED");
  });

  test("is none with a character changed, cut off or added, nor is any other kind of token", async () => {
    const { grant } = await guest(app, mine);
    const { sessionToken: token, refreshToken } = grant;
    const changed = `${token.slice(0, -1)}${token.endsWith("A") ? "B" : "A"}`;
    const renamed = refreshToken.replace("mrt_", "mst_");
    for (const other of [changed, token.slice(0, -1), `${token}A`, `${token}=`, "mst_", "mst_gone", renamed])
      expect(await reasonOf(isIn(other))).toBe("SESSION_NOT_FOUND");
    expect(await reasonOf(isIn(refreshToken))).toBe("CREDENTIAL_INVALID");
    expect(await reasonOf(isIn(token.replace("mst_", "mrt_")))).toBe("CREDENTIAL_INVALID");
    const refreshed = client(TokenService).refreshToken({ projectId: mine.id, refreshToken: token });
    expect(await reasonOf(refreshed)).toBe("TOKEN_INVALID");
  });

  test("is nowhere in the database, nor is the refresh token", async () => {
    const { grant } = await guest(app, mine);
    const { rows } = await db.pool.query<{ text: string }>(
      "select s::text as text from sessions s union all select e::text from events e",
    );
    const text = rows.map((row) => row.text).join("\n");
    for (const token of [grant.sessionToken, grant.refreshToken]) {
      const bytes = Buffer.from(token.slice(4), "base64url");
      expect(text).not.toContain(token.slice(4));
      expect(text).not.toContain(bytes.subarray(-36, -4).toString("hex"));
    }
  });

  test("ends the session two hours after its last request, which each request puts off", async () => {
    const user = await signedIn();
    clock.step(2 * HOUR - 1);
    expect(await isIn(user.token)).toBe(user.id);
    clock.step(2 * HOUR - 1);
    expect(await isIn(user.token)).toBe(user.id);
    // A minute is what the writes are kept apart by.
    clock.step(2 * HOUR + MINUTE);
    const { reason, error } = await refusalOf(isIn(user.token));
    expect(reason).toBe("SESSION_NOT_FOUND");
    expect(error.rawMessage).toBe("Required session does not exist");
  });

  test("of a session that ended is not good again, whatever becomes of the session", async () => {
    const user = await signedIn();
    clock.step(3 * HOUR);
    expect(await reasonOf(isIn(user.token))).toBe("SESSION_NOT_FOUND");
    const { grant } = await client(TokenService).refreshToken({ projectId: mine.id, refreshToken: user.refreshToken });
    expect(grant?.session?.id).toBe(user.sessionId);
    expect(grant?.sessionToken).not.toBe(user.token);
    expect(await isIn(grant?.sessionToken ?? "")).toBe(user.id);
    expect(await reasonOf(isIn(user.token))).toBe("SESSION_NOT_FOUND");
  });

  test("ends the session 30 days after the sign-in at the latest", async () => {
    const user = await fullUser();
    for (let hour = 0; hour < 30 * 24; hour += 2) {
      expect(await isIn(user.token)).toBe(user.id);
      clock.step(2 * HOUR);
    }
    expect(await reasonOf(isIn(user.token))).toBe("SESSION_NOT_FOUND");
  });

  test("has its use written down once a minute, and no end of it ever comes earlier", async () => {
    const own = await project();
    const user = await signedIn(own);
    const row = async () =>
      (
        await db.pool.query(
          "select xmin, extract(epoch from expire_time) * 1000 as expires from sessions where id = $1",
          [user.sessionId],
        )
      ).rows[0];
    const first = await row();
    clock.step(MINUTE - 1);
    await Promise.all(Array.from({ length: 10 }, () => isIn(user.token)));
    expect(await row()).toEqual(first);
    clock.step(1);
    await Promise.all(Array.from({ length: 10 }, () => isIn(user.token)));
    const second = await row();
    expect(second.xmin).not.toEqual(first.xmin);
    expect(Number(second.expires) - Number(first.expires)).toBe(MINUTE);
    const settings = { sessionTtl: { seconds: 60n } };
    await app.operator(ProjectService).updateProject({ projectId: own.id, settings });
    clock.step(MINUTE);
    await isIn(user.token);
    expect((await row()).expires).toEqual(second.expires);
  });
});

describe("a session ends with its user's access:", () => {
  test("a suspension blocks its sign-in", async () => {
    const user = await signedIn();
    const ref = { ref: { case: "id", value: user.id } } as const;
    const suspended = await mine.system(UserService).suspendUser({ ref, suspension: { blocksSignIn: true } });
    expect(await reasonOf(isIn(user.accessToken))).toBe("USER_SUSPENDED");
    const suspensionId = suspended.user?.suspensions[0]?.id ?? "";
    await mine.system(UserService).liftSuspension({ ref, suspensionId });
    expect(await reasonOf(isIn(user.token))).toBe("SESSION_NOT_FOUND");
  });

  test("the user is deleted", async () => {
    const user = await signedIn();
    await mine.system(UserService).deleteUser({ ref: { ref: { case: "id", value: user.id } } });
    expect(await reasonOf(isIn(user.token))).toBe("SESSION_NOT_FOUND");
    expect(await reasonOf(refresh(app, mine, user.refreshToken))).toBe("SESSION_NOT_FOUND");
  });
});

test("VerifyToken takes session tokens, and counts as a request of theirs", async () => {
  const user = await signedIn();
  const verify = (token: string, own = mine) => own.system(TokenService).verifyToken({ token });
  expect(await verify(user.token)).toMatchObject({
    active: true,
    token: { id: user.sessionId },
    user: { id: user.id },
  });
  clock.step(2 * HOUR - 1);
  expect((await verify(user.token, await project())).reason).toBe(ErrorReason.SESSION_NOT_FOUND);
  expect((await verify(user.token)).active).toBe(true);
  clock.step(2 * HOUR - 1);
  expect((await verify(user.token)).active).toBe(true);
  clock.step(3 * HOUR);
  expect(await verify(user.token)).toMatchObject({ active: false, reason: ErrorReason.SESSION_NOT_FOUND });
});

describe("the project of a sign-in", () => {
  const credential = { case: "guest", value: {} } as const;

  test("is that of the credential, where there is one", async () => {
    const { grant } = await mine.system(SessionService).createSession({ credential });
    expect(await isIn(grant?.sessionToken ?? "")).toBe(grant?.session?.userId);
    const other = (await project()).id;
    expect(await reasonOf(mine.system(SessionService).createSession({ projectId: other, credential }))).toBe(
      "PROJECT_NOT_FOUND",
    );
  });

  test("has to be named and there", async () => {
    const { fields } = await refusalOf(client(SessionService).createSession({ credential }));
    expect(fields).toEqual(["project_id"]);
    const projectId = "00000000-0000-7000-8000-000000000000";
    expect(await reasonOf(client(SessionService).createSession({ projectId, credential }))).toBe("PROJECT_NOT_FOUND");
    expect(await reasonOf(client(TokenService).refreshToken({ projectId, refreshToken: "x" }))).toBe("TOKEN_INVALID");
  });
});
