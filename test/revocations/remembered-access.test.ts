import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import type { BoundStatement, Executed } from "../../src/db/execution.ts";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { RotationMode, TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { byLogin, PASSWORD, refresh, signUp } from "../sessions/sessions-fixture.ts";
import { testDatabase } from "../support/database.ts";
import { startApp } from "../support/start-app.ts";
import { claimsOf, outcomeOf } from "../tokens/token-fixture.ts";

const db = await testDatabase();
// No hint reaches anybody: sessions that begin from now on find this function before that of Postgres.
await db.pool.query(`
  create function public.pg_notify(text, text) returns void language sql as 'select';
  do $$ begin execute format('alter database %I set search_path = public, pg_catalog', current_database()); end $$`);
await db.pool.query(
  "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
);
const here = await startApp({ db });
const { clock } = here;
const there = await startApp({ db, clock, config: { encryptionKeys: here.config.encryptionKeys } });
const SECOND_MS = 1_000;

/** The statements that ask whether a credential stands. */
const STANDING = ["token_standing", "token_standing_of_user", "sessions_find_by_token"];

/** How often the database is asked whether a credential stands, from now on. */
function countQuestions() {
  const sent = vi.spyOn(db.lookUps, "send");
  const connected = vi.spyOn(db.pool, "connect");
  onTestFinished(() => {
    sent.mockRestore();
    connected.mockRestore();
  });
  return () => sent.mock.calls.filter(([{ name }]) => STANDING.includes(name)).length;
}

/** A user with a password, a session and what it is let in by, used on both servers a moment ago. */
async function known(login = "alice") {
  const project = await here.project();
  const user = await signUp(here, project, login);
  const { signedToken: stateless } = await project
    .system(TokenService)
    .issueToken({ ref: { ref: { case: "id", value: user.userId } }, stateless: true });
  const { signedToken: stored } = await project
    .system(TokenService)
    .issueToken({ ref: { ref: { case: "id", value: user.userId } } });
  const { sessionToken, accessToken } = user.grant;
  const credentials = { sessionToken, accessToken, stored, stateless };
  // What was looked at a while ago is not relied on: both servers look now.
  await freshlyHeard();
  for (const credential of Object.values(credentials)) {
    expect(await outcomeOf(there, credential)).toBe("answered");
    expect(await outcomeOf(here, credential)).toBe("answered");
  }
  return { project, user, credentials, ref: { ref: { case: "id", value: user.userId } } as const };
}

/** Has both servers look, at the time that it is. */
async function freshlyHeard(): Promise<void> {
  await clock.advance(500);
  await sleep(50);
}

type Credentials = Awaited<ReturnType<typeof known>>["credentials"];

/** What each credential comes to on a server, in the order of `known`. */
const outcomesOn = (server: typeof here, credentials: Credentials) =>
  Promise.all(Object.values(credentials).map((credential) => outcomeOf(server, credential)));

test("a credential that was good a moment ago is taken without asking the database, on every server", async () => {
  const { credentials } = await known();
  await outcomesOn(there, credentials);
  const questions = countQuestions();
  for (const server of [here, there]) expect(await outcomesOn(server, credentials)).toEqual(Array(4).fill("answered"));
  expect(questions()).toBe(0);
});

test("each minute the database is asked again, and a session prolonged", async () => {
  const { credentials, user, project } = await known();
  const questions = countQuestions();
  const lastActive = async () => {
    const sql =
      "select extract(epoch from last_active_time) * 1000 as at from sessions where project_id = $1 and id = $2";
    return Number((await db.pool.query<{ at: string }>(sql, [project.id, user.sessionId])).rows[0]?.at);
  };
  const before = await lastActive();
  for (let minute = 1; minute <= 3; minute++) {
    for (let passed = 0; passed < 60_000; passed += 500) await clock.advance(500);
    await sleep(50);
    await outcomesOn(here, credentials);
    expect(await lastActive()).toBeGreaterThanOrEqual(before + minute * 60_000);
  }
  expect(questions()).toBeGreaterThanOrEqual(3 * 4);
});

/** What ends access, and what the session token, its access token, the stored and the stateless JWT come to then. */
interface Ending {
  readonly name: string;
  end(it: Awaited<ReturnType<typeof known>>): Promise<unknown>;
  readonly outcomes: readonly string[];
}

const bySession = ({ credentials }: { credentials: Credentials }) =>
  here.client(SessionService, credentials.sessionToken);
const REVOKED = Array(3).fill("TOKEN_REVOKED") as string[];

const ENDINGS: readonly Ending[] = [
  {
    name: "the token is revoked",
    end: ({ project, credentials }) =>
      project.system(TokenService).revokeToken({ tokenId: String(claimsOf(credentials.stored)["jti"]) }),
    outcomes: ["answered", "answered", "TOKEN_REVOKED", "answered"],
  },
  {
    name: "all of the user's tokens are revoked",
    end: ({ project, ref }) => project.system(TokenService).revokeUserTokens({ ref }),
    outcomes: ["SESSION_NOT_FOUND", ...REVOKED],
  },
  {
    name: "the session is signed out of",
    end: (it) => bySession(it).deleteSession({ sessionId: it.user.sessionId }),
    outcomes: ["SESSION_NOT_FOUND", "TOKEN_REVOKED", "answered", "answered"],
  },
  {
    name: "a used refresh token comes back",
    async end({ project, user }) {
      const { refreshToken } = user.grant;
      const next = (await refresh(here, project, refreshToken)).grant?.refreshToken ?? "";
      await refresh(here, project, next);
      await expect(refresh(here, project, refreshToken)).rejects.toThrow();
    },
    outcomes: ["SESSION_NOT_FOUND", "TOKEN_REVOKED", "answered", "answered"],
  },
  {
    name: "the user's password is set anew",
    end: ({ project, ref }) => project.system(UserService).setPassword({ ref, password: "another horse battery" }),
    outcomes: ["SESSION_NOT_FOUND", ...REVOKED],
  },
  {
    name: "the user changes its password in another session",
    async end({ project }) {
      const request = { projectId: project.id, credential: byLogin("alice") };
      const { grant } = await here.client(SessionService).createSession(request);
      const change = { oldPassword: PASSWORD, password: "another horse battery" };
      await here.client(SessionService, grant?.sessionToken).changePassword(change);
    },
    outcomes: ["SESSION_NOT_FOUND", "TOKEN_REVOKED", "answered", "answered"],
  },
  {
    name: "the user is suspended",
    end: ({ project, ref }) => project.system(UserService).suspendUser({ ref, suspension: { blocksSignIn: true } }),
    outcomes: ["SESSION_NOT_FOUND", "USER_SUSPENDED", "USER_SUSPENDED", "USER_SUSPENDED"],
  },
  {
    name: "the user is deleted",
    end: ({ project, ref }) => project.system(UserService).deleteUser({ ref }),
    outcomes: ["SESSION_NOT_FOUND", ...REVOKED],
  },
  {
    name: "the project's keys are revoked",
    end: ({ project }) => project.system(TokenService).rotateSigningKey({ mode: RotationMode.REVOKE_ALL }),
    outcomes: ["answered", ...Array<string>(3).fill("TOKEN_INVALID")],
  },
  {
    name: "the project is deleted",
    end: ({ project }) => here.operator(ProjectService).deleteProject({ projectId: project.id }),
    outcomes: ["SESSION_NOT_FOUND", ...Array<string>(3).fill("TOKEN_INVALID")],
  },
];

test.each(ENDINGS)(
  "when $name, the server that did it refuses at once and every other within a second",
  async (ending) => {
    const it = await known();
    await ending.end(it);
    expect(await outcomesOn(here, it.credentials)).toEqual(ending.outcomes);
    await clock.advance(SECOND_MS);
    expect(await outcomesOn(there, it.credentials)).toEqual(ending.outcomes);
  },
);

test("nor does VerifyToken say for longer than a second that a token is good that was revoked on another server", async () => {
  const { project, credentials, ref } = await known();
  const verified = async () => {
    const verifier = there.client(TokenService, project.accessKey);
    const tokens = Object.values(credentials);
    const answers = await Promise.all(tokens.map((token) => verifier.verifyToken({ token })));
    return answers.map(({ active }) => active);
  };
  expect(await verified()).toEqual([true, true, true, true]);
  await project.system(TokenService).revokeUserTokens({ ref });
  await clock.advance(SECOND_MS);
  expect(await verified()).toEqual([false, false, false, false]);
});

/** Has a statement's answers take their time: `hold` keeps those back that are asked for from then on, `release` gives them. */
function delayAnswers(names: readonly string[]) {
  const send = db.lookUps.send.bind(db.lookUps);
  const held: (() => void)[] = [];
  let holds = false;
  const spy = vi.spyOn(db.lookUps, "send").mockImplementation((asked: BoundStatement, answered: Executed<unknown>) =>
    send(asked, (error, result) => {
      if (holds && names.includes(asked.name)) held.push(() => answered(error, result));
      else answered(error, result);
    }),
  );
  onTestFinished(() => spy.mockRestore());
  return {
    held,
    hold: () => {
      holds = true;
    },
    release() {
      holds = false;
      for (const give of held.splice(0)) give();
    },
  };
}

test("what the database said before an end, and what is kept of it after the end was told, counts for nothing", async () => {
  const { credentials, project, ref } = await known();
  // A minute on, the database is asked again.
  for (let passed = 0; passed <= 60_000; passed += 500) await clock.advance(500);
  await freshlyHeard();
  const answers = delayAnswers(STANDING);
  answers.hold();
  const late = outcomesOn(there, credentials);
  await expect.poll(() => answers.held.length, { timeout: 15_000, interval: 5 }).toBe(4);
  await project.system(TokenService).revokeUserTokens({ ref });
  await clock.advance(SECOND_MS);
  await freshlyHeard();
  answers.release();
  // They were let in before the end.
  expect(await late).toEqual(Array(4).fill("answered"));
  expect(await outcomesOn(there, credentials)).toEqual(["SESSION_NOT_FOUND", ...REVOKED]);
});

test("a server that cannot read what ended asks the database with each call", async () => {
  const { credentials, project, ref } = await known();
  const answers = delayAnswers(["revocations_read"]);
  answers.hold();
  await clock.advance(SECOND_MS);
  const questions = countQuestions();
  for (let n = 1; n <= 3; n++) {
    expect(await outcomesOn(there, credentials)).toEqual(Array(4).fill("answered"));
    expect(questions()).toBe(4 * n);
  }
  await project.system(TokenService).revokeUserTokens({ ref });
  expect(await outcomesOn(there, credentials)).toEqual(["SESSION_NOT_FOUND", ...REVOKED]);
  answers.release();
});

test("while the database is away nobody is let in by what was known", async () => {
  const { credentials } = await known();
  const connect = vi.spyOn(db.pool, "connect").mockImplementation(() => {
    throw Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
  });
  const send = vi.spyOn(db.lookUps, "send").mockReturnValue(false);
  onTestFinished(() => {
    connect.mockRestore();
    send.mockRestore();
  });
  await clock.advance(SECOND_MS);
  expect(new Set(await outcomesOn(there, credentials))).toEqual(new Set(["STORAGE_UNAVAILABLE"]));
});
