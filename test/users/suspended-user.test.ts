import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { ErrorReason } from "../../src/gen/muster/v1/error_reason_pb.ts";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApp, type TestApp } from "../support/start-app.ts";

const here = await startApp();
const { db, clock } = here;
const there = await startApp({ db, clock, config: { encryptionKeys: here.config.encryptionKeys } });
const SERVERS = [here, there];

const alice = { ref: { case: "externalId", value: "alice" } } as const;
const bob = { ref: { case: "externalId", value: "bob" } } as const;
const carol = { ref: { case: "externalId", value: "carol" } } as const;
const me = { ref: { case: "me", value: true } } as const;

const at = (ms: number) => timestampFromMs(clock.now() + ms);

/** A project with alice and bob signed in. */
async function signedIn() {
  const project = await here.project();
  const users = project.system(UserService);
  const { token } = await project.signedInUser("alice");
  const other = await project.signedInUser("bob");
  return { project, users, token, bobsToken: other.token };
}

/** What a call with the token comes to on each server. */
const outcomesOf = (token: string) =>
  Promise.all(
    SERVERS.map(async ({ client }) => {
      const call = client(UserService, token).getUser({ ref: me });
      return call.then(
        () => "answered",
        () => reasonOf(call),
      );
    }),
  );

const PATIENCE = { timeout: 15_000, interval: 5 };
const allAre = (outcome: string) => SERVERS.map(() => outcome);

describe("while a suspension blocks the sign-in", () => {
  test("tokens of the user are refused on every server within a second, and nobody else's", async () => {
    const { users, token, bobsToken } = await signedIn();
    expect(await outcomesOf(token)).toEqual(allAre("answered"));
    await users.suspendUser({ ref: alice, suspension: { blocksSignIn: true } });
    await clock.advance(1_000);
    expect(await outcomesOf(token)).toEqual(allAre("USER_SUSPENDED"));
    expect(await outcomesOf(bobsToken)).toEqual(allAre("answered"));
  });

  test("no token is given to the user, stored or stateless, by whatever key, and none is kept", async () => {
    const { project, users } = await signedIn();
    const { user } = await users.updateUser({ ref: alice, user: { login: "alice_1" } });
    await users.suspendUser({ ref: alice, suspension: { blocksSignIn: true } });
    const refs = [
      alice,
      { ref: { case: "id", value: user?.id ?? "" } },
      { ref: { case: "login", value: "alice_1" } },
    ] as const;
    for (const ref of refs)
      for (const stateless of [true, false])
        expect(await reasonOf(project.system(TokenService).issueToken({ ref, stateless }))).toBe("USER_SUSPENDED");
    const { rows } = await db.pool.query("select from tokens where project_id = $1 and user_id = $2", [
      project.id,
      user?.id,
    ]);
    expect(rows).toHaveLength(1);
  });

  test("its tokens are not active, and the answer says why", async () => {
    const { project, users, token } = await signedIn();
    await users.suspendUser({ ref: alice, suspension: { blocksSignIn: true } });
    const answer = await project.system(TokenService).verifyToken({ token });
    expect(answer).toMatchObject({ active: false, reason: ErrorReason.USER_SUSPENDED });
    expect([answer.user, answer.token]).toEqual([undefined, undefined]);
  });

  test("a suspended user that is deleted is one that is gone", async () => {
    const { users, token } = await signedIn();
    await users.suspendUser({ ref: alice, suspension: { blocksSignIn: true } });
    await users.deleteUser({ ref: alice });
    expect(await outcomesOf(token)).toEqual(allAre("TOKEN_REVOKED"));
  });
});

test("a suspension that does not block the sign-in leaves it alone", async () => {
  const { users, token } = await signedIn();
  await users.suspendUser({ ref: alice, suspension: { reason: "muted" } });
  expect(await outcomesOf(token)).toEqual(allAre("answered"));
});

/** Moves time on, and waits until what was due by then has ended something, on whichever server. */
async function advanceOverStart(ms: number, projectId: string) {
  const ended = () => db.pool.query("select from revocations where project_id = $1", [projectId]);
  const before = (await ended()).rowCount;
  await clock.advance(ms);
  const counted = async () => {
    // What was read meanwhile may have set something for this moment.
    await clock.advance(0);
    return (await ended()).rowCount;
  };
  await expect.poll(counted, { timeout: 15_000, interval: 5 }).not.toBe(before);
}

test("a suspension is in force from its start until before its end, to the millisecond, without anybody calling", async () => {
  const { project, users, token } = await signedIn();
  await users.suspendUser({
    ref: alice,
    suspension: { startTime: at(1_000), endTime: at(2_000), blocksSignIn: true },
  });
  const issue = async () => (await project.system(TokenService).issueToken({ ref: alice })).signedToken;
  await clock.advance(999);
  expect(await outcomesOf(token)).toEqual(allAre("answered"));
  await advanceOverStart(1, project.id);
  expect(await reasonOf(issue())).toBe("USER_SUSPENDED");
  // That it was good a moment ago a server may go by until it hears of the start.
  await expect.poll(() => outcomesOf(token), PATIENCE).toEqual(allAre("USER_SUSPENDED"));
  await clock.advance(999);
  expect(await outcomesOf(token)).toEqual(allAre("USER_SUSPENDED"));
  expect(await reasonOf(issue())).toBe("USER_SUSPENDED");
  await clock.advance(1);
  expect(await outcomesOf(await issue())).toEqual(allAre("answered"));
});

test("tokens do not come back when a suspension is over, those without a row neither; new ones are good at once", async () => {
  const { project, users, token } = await signedIn();
  const tokens = project.system(TokenService);
  const { signedToken: stateless } = await tokens.issueToken({ ref: alice, stateless: true });
  const { user } = await users.suspendUser({ ref: alice, suspension: { endTime: at(60_000), blocksSignIn: true } });
  expect(await outcomesOf(stateless)).toEqual(allAre("USER_SUSPENDED"));
  await users.liftSuspension({ ref: alice, suspensionId: user?.suspensions[0]?.id ?? "" });
  for (const old of [token, stateless]) expect(await outcomesOf(old)).toEqual(allAre("TOKEN_REVOKED"));
  for (const kept of [true, false]) {
    const issued = await tokens.issueToken({ ref: alice, stateless: !kept });
    expect(await outcomesOf(issued.signedToken)).toEqual(allAre("answered"));
  }
});

test("a suspension that was lifted before its start has ended nothing", async () => {
  const { project, users, token } = await signedIn();
  const { user } = await users.suspendUser({ ref: alice, suspension: { startTime: at(1_000), blocksSignIn: true } });
  await users.liftSuspension({ ref: alice, suspensionId: user?.suspensions[0]?.id ?? "" });
  await clock.advance(2_000);
  expect(await outcomesOf(token)).toEqual(allAre("answered"));
  const pending = await db.pool.query("select from pending_suspensions where project_id = $1", [project.id]);
  expect(pending.rowCount).toBe(0);
});

test("the user is let in again once the last suspension that blocks it is lifted", async () => {
  const { project, users } = await signedIn();
  const suspend = () => users.suspendUser({ ref: alice, suspension: { blocksSignIn: true } });
  const issue = async () => (await project.system(TokenService).issueToken({ ref: alice })).signedToken;
  await suspend();
  const [first, second] = (await suspend()).user?.suspensions ?? [];
  await users.liftSuspension({ ref: alice, suspensionId: first?.id ?? "" });
  expect(await reasonOf(issue())).toBe("USER_SUSPENDED");
  await users.liftSuspension({ ref: alice, suspensionId: second?.id ?? "" });
  expect(await outcomesOf(await issue())).toEqual(allAre("answered"));
});

test("a suspension of a user of the same external id in another project is none of this one's", async () => {
  const one = await signedIn();
  const other = await signedIn();
  await one.users.suspendUser({ ref: alice, suspension: { blocksSignIn: true } });
  expect(await outcomesOf(other.token)).toEqual(allAre("answered"));
});

test("no token that is issued while its user is suspended passes after that", async () => {
  const { project, users } = await signedIn();
  const tokens = SERVERS.map(({ client }) => client(TokenService, project.accessKey));
  for (let round = 0; round < 5; round++) {
    const calls = Array.from({ length: 20 }, (_, i) => tokens[i % 2]?.issueToken({ ref: alice }));
    const [{ user }, ...issued] = await Promise.all([
      users.suspendUser({ ref: alice, suspension: { blocksSignIn: true } }),
      ...calls.map((call) => call?.catch(() => undefined)),
    ]);
    const outcomes = () =>
      Promise.all(issued.flatMap((answer) => (answer ? [outcomesOf(answer.signedToken)] : []))).then((all) =>
        all.flat(),
      );
    expect((await outcomes()).filter((outcome) => outcome !== "USER_SUSPENDED")).toEqual([]);
    await users.liftSuspension({ ref: alice, suspensionId: user?.suspensions[0]?.id ?? "" });
    expect((await outcomes()).filter((outcome) => outcome !== "TOKEN_REVOKED")).toEqual([]);
  }
});

describe("a stream that the user has open", () => {
  /** Opens a stream on a server, once its snapshot is complete: what it will end with, and when it is told that somebody is deleted. */
  async function openStream({ client }: TestApp, token: string) {
    const [opened, told] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const left = new AbortController();
    const run = async () => {
      const stream = client(PresenceService, token).watchPresence({ refs: [bob, carol] }, { signal: left.signal });
      for await (const { event } of stream)
        if (event.case === "snapshotComplete") opened.resolve();
        else if (event.case === "userDeleted") told.resolve();
    };
    const running = run();
    const ended = running.catch(() => (left.signal.aborted ? "left" : reasonOf(running)));
    await opened.promise;
    return { ended, told: told.promise, leave: () => left.abort() };
  }

  test("ends on every server when the suspension is given, and nobody else's does", async () => {
    const { users, token, bobsToken } = await signedIn();
    const streams = await Promise.all(SERVERS.map((server) => openStream(server, token)));
    const others = await Promise.all(SERVERS.map((server) => openStream(server, bobsToken)));
    await users.suspendUser({ ref: alice, suspension: { blocksSignIn: true } });
    expect(await Promise.all(streams.map(({ ended }) => ended))).toEqual(allAre("USER_SUSPENDED"));
    for (const { leave } of others) leave();
    expect(await Promise.all(others.map(({ ended }) => ended))).toEqual(allAre("left"));
  });

  test("ends at the start of a suspension that was given before, unless that was lifted", async () => {
    const { project, users, token, bobsToken } = await signedIn();
    const suspension = { startTime: at(5_000), blocksSignIn: true };
    await users.upsertUser({ externalId: "carol" });
    await users.suspendUser({ ref: alice, suspension });
    const { user } = await users.suspendUser({ ref: bob, suspension });
    const streams = await Promise.all(SERVERS.map((server) => openStream(server, token)));
    const lifted = await Promise.all(SERVERS.map((server) => openStream(server, bobsToken)));
    await users.liftSuspension({ ref: bob, suspensionId: user?.suspensions[0]?.id ?? "" });
    // Hints come in the order they were sent: who was told of this one has been told of the lifting.
    await users.deleteUser({ ref: carol });
    await Promise.all(lifted.map(({ told }) => told));
    let over = 0;
    for (const { ended } of [...streams, ...lifted]) void ended.then(() => over++);
    await clock.advance(4_999);
    expect(over).toBe(0);
    await advanceOverStart(1, project.id);
    expect(await Promise.all(streams.map(({ ended }) => ended))).toEqual(allAre("USER_SUSPENDED"));
    expect(over).toBe(SERVERS.length);
    for (const { leave } of lifted) leave();
    await Promise.all(lifted.map(({ ended }) => ended));
  });

  test("cannot be opened while the user is suspended", async () => {
    const { users, token } = await signedIn();
    await users.suspendUser({ ref: alice, suspension: { blocksSignIn: true } });
    for (const { client } of SERVERS) {
      const stream = client(PresenceService, token).watchPresence({ refs: [bob] });
      expect(await reasonOf(stream[Symbol.asyncIterator]().next())).toBe("USER_SUSPENDED");
    }
  });
});
