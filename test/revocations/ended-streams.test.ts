import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { RotationMode, TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { testDatabase } from "../support/database.ts";
import { reasonOf } from "../support/refusal.ts";
import { RevocationReader } from "../support/revocation-reader.ts";
import { startApp, type TestApp } from "../support/start-app.ts";

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
const SERVERS = [here, there];
const SECOND_MS = 1_000;

const alice = { ref: { case: "externalId", value: "alice" } } as const;
const bob = { ref: { case: "externalId", value: "bob" } } as const;

/** Opens a stream, once its snapshot is complete: what it will end with. */
async function openStream({ client }: TestApp, credential: string) {
  const opened = Promise.withResolvers<void>();
  const left = new AbortController();
  const run = async () => {
    const stream = client(PresenceService, credential).watchPresence({ refs: [bob] }, { signal: left.signal });
    for await (const { event } of stream) if (event.case === "snapshotComplete") opened.resolve();
  };
  const running = run();
  const ended = running.catch(() => (left.signal.aborted ? "left" : reasonOf(running)));
  await opened.promise;
  return { ended, leave: () => left.abort() };
}

const openEverywhere = (credential: string) => Promise.all(SERVERS.map((server) => openStream(server, credential)));

/** What the streams end with, after a second and no more. */
async function endsOf(streams: Awaited<ReturnType<typeof openEverywhere>>) {
  await clock.advance(SECOND_MS);
  return Promise.all(streams.map(({ ended }) => ended));
}

/** A project with alice and bob signed in, and their streams. */
async function streaming() {
  const project = await here.project();
  const alices = await project.signedInUser("alice");
  const bobs = await project.signedInUser("bob");
  const streams = await openEverywhere(alices.token);
  const others = await openEverywhere(bobs.token);
  const othersGoOn = async () => {
    for (const { leave } of others) leave();
    expect(await Promise.all(others.map(({ ended }) => ended))).toEqual(["left", "left"]);
  };
  return { project, users: project.system(UserService), streams, othersGoOn };
}

describe("though every hint is lost, streams end on every server within a second", () => {
  test("when their user is suspended, whatever comes of the suspension", async () => {
    const { users, streams, othersGoOn } = await streaming();
    const { user } = await users.suspendUser({ ref: alice, suspension: { blocksSignIn: true } });
    await users.liftSuspension({ ref: alice, suspensionId: user?.suspensions[0]?.id ?? "" });
    expect(await endsOf(streams)).toEqual(["USER_SUSPENDED", "USER_SUSPENDED"]);
    await othersGoOn();
  });

  test("when a suspension starts that was given before", async () => {
    const { users, streams, othersGoOn } = await streaming();
    const startTime = timestampFromMs(clock.now() + 5 * SECOND_MS);
    await users.suspendUser({ ref: alice, suspension: { startTime, blocksSignIn: true } });
    let over = 0;
    for (const { ended } of streams) void ended.then(() => over++);
    await clock.advance(5 * SECOND_MS - 1);
    expect(over).toBe(0);
    // It starts; the statement that says so takes its own time, and then those who have not heard of it have their second.
    await clock.advance(1);
    const started = "select from revocations where cause = 'USER_SUSPENDED' and create_time = $1";
    const count = async () => {
      await clock.advance(0);
      return (await db.pool.query(started, [new Date(clock.now())])).rowCount;
    };
    await expect.poll(count, { timeout: 15_000, interval: 5 }).toBe(1);
    expect(await endsOf(streams)).toEqual(["USER_SUSPENDED", "USER_SUSPENDED"]);
    await othersGoOn();
  });

  test("when their user is deleted", async () => {
    const { users, streams, othersGoOn } = await streaming();
    await users.deleteUser({ ref: alice });
    expect(await endsOf(streams)).toEqual(["TOKEN_REVOKED", "TOKEN_REVOKED"]);
    await othersGoOn();
  });

  test("when the token is revoked that they were opened with, or all of its user's", async () => {
    const { project, streams, othersGoOn } = await streaming();
    const tokens = project.system(TokenService);
    const { token, signedToken } = await tokens.issueToken({ ref: alice });
    const ofToken = await openEverywhere(signedToken);
    await tokens.revokeToken({ tokenId: token?.id ?? "" });
    expect(await endsOf(ofToken)).toEqual(["TOKEN_REVOKED", "TOKEN_REVOKED"]);
    await tokens.revokeUserTokens({ ref: alice });
    expect(await endsOf(streams)).toEqual(["TOKEN_REVOKED", "TOKEN_REVOKED"]);
    await othersGoOn();
  });

  test("when the access key is revoked that they were opened with", async () => {
    const { project, othersGoOn } = await streaming();
    const streams = await openEverywhere(project.accessKey);
    const keyId = project.accessKey.slice(4, 40);
    await here.operator(ProjectService).revokeAccessKey({ projectId: project.id, keyId });
    expect(await endsOf(streams)).toEqual(["CREDENTIAL_INVALID", "CREDENTIAL_INVALID"]);
    await othersGoOn();
  });

  test("when the keys are revoked that signed their tokens, and not when the keys are rotated gracefully", async () => {
    const { project, streams } = await streaming();
    const { othersGoOn } = await streaming();
    const tokens = project.system(TokenService);
    await tokens.rotateSigningKey({ mode: RotationMode.GRACEFUL });
    let over = 0;
    for (const { ended } of streams) void ended.then(() => over++);
    await clock.advance(SECOND_MS);
    expect(over).toBe(0);
    await tokens.rotateSigningKey({ mode: RotationMode.REVOKE_ALL });
    const { signedToken } = await tokens.issueToken({ ref: alice });
    const fresh = await openEverywhere(signedToken);
    expect(await endsOf(streams)).toEqual(["TOKEN_REVOKED", "TOKEN_REVOKED"]);
    for (const { leave } of fresh) leave();
    expect(await Promise.all(fresh.map(({ ended }) => ended))).toEqual(["left", "left"]);
    await othersGoOn();
  });

  test("when their project is deleted", async () => {
    const { project, streams } = await streaming();
    await here.operator(ProjectService).deleteProject({ projectId: project.id });
    expect(await endsOf(streams)).toEqual(["TOKEN_REVOKED", "TOKEN_REVOKED"]);
  });
});

test("though every hint is lost, who watches revocations is told on every server within a second", async () => {
  const project = await here.project();
  const { token } = await project.signedInUser("alice");
  const readers = SERVERS.map((server) => new RevocationReader(server.client(TokenService, project.accessKey)));
  const told = (kind: string) => readers.map(({ kinds }) => kinds.filter((it) => it === kind).length);
  await expect.poll(() => told("snapshotComplete"), { timeout: 15_000, interval: 5 }).toEqual([1, 1]);
  await here.client(TokenService, token).revokeUserTokens({ ref: { ref: { case: "me", value: true } } });
  await clock.advance(SECOND_MS);
  await expect.poll(() => told("revocation"), { timeout: 15_000, interval: 5 }).toEqual([1, 1]);
  for (const reader of readers) reader.leave();
});
