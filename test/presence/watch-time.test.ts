import { afterAll, afterEach, expect, test } from "vitest";
import { MusterError } from "../../src/errors.ts";
import { watchPresence } from "../../src/presence/watch.ts";
import { testDatabase } from "../support/database.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import {
  deleteUser,
  eventually,
  ids,
  makeProject,
  makeUsers,
  Reader,
  set,
  startPresence,
  watchInput,
} from "./presence-fixture.ts";

const db = await testDatabase();
const projectId = await makeProject(db);
const [friend = ""] = await makeUsers(db, projectId, 1);
const clock = createFakeClock();
const presence = startPresence(db, clock);
const open: Reader[] = [];
afterEach(async () => {
  for (const reader of open.splice(0)) await reader[Symbol.asyncDispose]();
});
afterAll(() => presence[Symbol.asyncDispose]());

async function watch(input: Partial<ConstructorParameters<typeof Reader>[1]> = {}): Promise<Reader> {
  const reader = new Reader(presence, { projectId, keys: ids([friend]), ...input });
  open.push(reader);
  await reader.snapshot();
  return reader;
}

/** Moves time on until the hub holds no more than so many users. A read under way takes its own time. */
const hubHolds = (most: number) =>
  eventually(async () => {
    await clock.advance(10_000);
    return presence.hub.size <= most;
  });

test("20 s of silence are told, and not a moment less", async () => {
  const reader = await watch();
  await clock.advance(19_999);
  expect(reader.kinds).not.toContain("heartbeat");
  await clock.advance(1);
  expect(reader.messages.at(-1)?.event).toEqual({ kind: "heartbeat", stale: false });
  await clock.advance(10_000);
  await set(presence, projectId, friend, { status: "talking" });
  await reader.until(() => reader.statusOf(friend) === "talking");
  await clock.advance(19_999);
  expect(reader.kinds.filter((kind) => kind === "heartbeat")).toHaveLength(1);
  await clock.advance(1);
  expect(reader.kinds.filter((kind) => kind === "heartbeat")).toHaveLength(2);
});

test("changes within the least interval are told together when it is over", async () => {
  const reader = await watch({ minIntervalMs: 5_000 });
  const quick = await watch();
  for (const status of ["one", "two", "three"]) {
    await set(presence, projectId, friend, { status });
    await quick.until(() => quick.statusOf(friend) === status);
  }
  const before = reader.historyOf(friend);
  expect(before).not.toContain("three");
  await clock.advance(5_000);
  expect(reader.historyOf(friend)).toEqual([...before, "three"]);
});

test("a reader that accepts nothing for a minute is let go, and nothing is kept for it", async () => {
  const signals = { left: new AbortController().signal, ended: new AbortController().signal };
  const [watched = ""] = await makeUsers(db, projectId, 1);
  const stream = watchPresence(presence, watchInput({ projectId, keys: ids([watched]) }), signals);
  for (let kind = ""; kind !== "snapshotComplete"; ) kind = (await stream.next()).value?.event.kind ?? "";
  await clock.advance(59_999);
  const kept = presence.hub.size;
  await clock.advance(1);
  await hubHolds(kept - 1);
  await expect(stream.next()).rejects.toMatchObject({ reason: "READER_STALLED" });
});

test("a reader that leaves while the stream waits for it leaves nothing behind", async () => {
  await hubHolds(0);
  const users = await makeUsers(db, projectId, 5);
  const left = new AbortController();
  const signals = { left: left.signal, ended: new AbortController().signal };
  const stream = watchPresence(presence, watchInput({ projectId, keys: ids(users) }), signals);
  for (let kind = ""; kind !== "snapshotComplete"; ) kind = (await stream.next()).value?.event.kind ?? "";
  left.abort();
  await clock.advance(29_999);
  expect(presence.hub.size).toBe(5);
  await hubHolds(0);
  expect(presence.hub.size).toBe(0);
});

test("a server that shuts down says goodbye and when to come again, and then why", async () => {
  const reader = await watch();
  reader.ended.abort(new MusterError("SHUTTING_DOWN"));
  await reader.until(({ failure }) => failure !== undefined);
  expect(reader.messages.at(-1)?.event).toMatchObject({ kind: "goodbye", reconnectAfterMs: expect.any(Number) });
  expect(reader.failure).toMatchObject({ reason: "SHUTTING_DOWN" });
});

test("what no notification told of is found within a minute", async () => {
  const [silent = "", doomed = ""] = await makeUsers(db, projectId, 2);
  await set(presence, projectId, silent, { status: "before" });
  const reader = await watch({ keys: ids([silent, doomed]) });
  await db.pool.query(
    `update presences set rev = rev + 1, set_at = set_at + 1, since = since + 1, chain = '[{"status":"after"}]' where user_id = $1`,
    [silent],
  );
  await deleteUser(db, projectId, doomed);
  await clock.advance(60_000);
  await reader.until(() => reader.statusOf(silent) === "after" && reader.deleted.length > 0);
  expect(reader.deleted).toEqual([doomed]);
});

test("a link that seems over by this process's clock is not, as long as the engine's says so", async () => {
  const [lasting = ""] = await makeUsers(db, projectId, 1);
  await set(presence, projectId, lasting, { status: "online", ttl: 25_000_000 }, { status: "away" });
  const reader = await watch({ keys: ids([lasting]) });
  await clock.advance(29_000);
  await set(presence, projectId, friend, { status: "something else" });
  const after = await watch();
  await after.until(() => after.statusOf(friend) === "something else");
  expect(reader.historyOf(lasting)).toEqual(["online"]);
});
