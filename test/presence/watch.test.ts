import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { watchPresence } from "../../src/presence/watch.ts";
import { testDatabase } from "../support/database.ts";
import {
  deleteUser,
  ids,
  killListeners,
  MS,
  makeProject,
  makeUsers,
  Reader,
  set,
  startPresence,
  watchInput,
} from "./presence-fixture.ts";

const db = await testDatabase();
const projectId = await makeProject(db);
const presence = startPresence(db);
const other = startPresence(db);
afterAll(async () => {
  await other[Symbol.asyncDispose]();
  await presence[Symbol.asyncDispose]();
});

/** The users whose latest state, as the reader saw it, is another one. */
const unlike = (reader: Reader, users: readonly string[], status: string) =>
  users.filter((user) => reader.statusOf(user) !== status);

const PATIENCE = { timeout: 15_000, interval: 5 };

const watch = (users: readonly string[]) => new Reader(presence, { projectId, keys: ids(users) });

test("a stream opens, gives the state of each user once, says so, and then tells changes", async () => {
  const users = await makeUsers(db, projectId, 650);
  await Promise.all(users.slice(0, 10).map((user) => set(presence, projectId, user, { status: "busy" })));
  await using reader = watch([...users, users[0] ?? ""]);
  await reader.snapshot();
  expect(reader.kinds[0]).toBe("opened");
  expect(reader.kinds.slice(1, -1).every((kind) => kind === "update")).toBe(true);
  expect(reader.kinds.length).toBeLessThan(12);
  expect(reader.messages.flatMap(({ event }) => (event.kind === "update" ? event.presences : []))).toHaveLength(650);
  expect(users.map((user) => reader.statusOf(user))).toEqual(users.map((_, n) => (n < 10 ? "busy" : "offline")));
  await set(presence, projectId, users[20] ?? "", { status: "online", message: "hello" });
  await reader.until(({ statusOf }) => statusOf.call(reader, users[20] ?? "") === "online");
  expect(reader.messages.at(-1)?.event).toMatchObject({ kind: "update", presences: [{ message: "hello", step: 0 }] });
});

test("links that run out are told in order, late by little and never early", async () => {
  const [user = ""] = await makeUsers(db, projectId, 1);
  await using reader = watch([user]);
  await reader.snapshot();
  const { record } = await set(
    presence,
    projectId,
    user,
    { status: "online", ttl: 1_000 * MS },
    { status: "away", ttl: 1_000 * MS },
  );
  await reader.until(({ historyOf }) => historyOf.call(reader, user).length === 4);
  expect(reader.historyOf(user)).toEqual(["offline", "online", "away", "offline"]);
  const told = reader.messages.slice(-2);
  expect(told[0]?.serverTime).toBeGreaterThanOrEqual(record.setAt + 1_000 * MS);
  expect(told[1]?.serverTime).toBeGreaterThanOrEqual(record.setAt + 2_000 * MS);
  const steps = reader.messages.flatMap(({ event }) => (event.kind === "update" ? event.presences : []));
  expect(steps.map(({ revision, step }) => [revision, step])).toEqual([
    [0, 0],
    [record.revision, 0],
    [record.revision, 1],
    [record.revision, 2],
  ]);
});

test("a refresh disturbs nobody, and the change comes when the last refresh has run out", async () => {
  const [user = ""] = await makeUsers(db, projectId, 1);
  const chain = [{ status: "online", ttl: 2_000 * MS }, { status: "away" }];
  await set(presence, projectId, user, ...chain);
  await using reader = watch([user]);
  await reader.snapshot();
  let last = 0;
  for (let n = 0; n < 3; n++) {
    await sleep(200);
    last = (await set(other, projectId, user, ...chain)).record.setAt;
  }
  await reader.until(({ historyOf }) => historyOf.call(reader, user).length === 2);
  expect(reader.historyOf(user)).toEqual(["online", "away"]);
  expect(reader.messages.at(-1)?.event).toMatchObject({ presences: [{ since: last + 2_000 * MS }] });
});

test("whatever another process sets, readers here come to see the last of it", async () => {
  const users = await makeUsers(db, projectId, 40);
  await using reader = watch(users);
  await reader.snapshot();
  for (let round = 0; round < 20; round++)
    await Promise.all(users.map((user) => set(round % 2 ? presence : other, projectId, user, { status: `r${round}` })));
  await expect.poll(() => unlike(reader, users, "r19"), PATIENCE).toEqual([]);
});

test("a reader that begins while presences are set misses none", async () => {
  for (let round = 0; round < 30; round++) {
    const [user = ""] = await makeUsers(db, projectId, 1);
    const setting = (async () => {
      await sleep(Math.random() * 4);
      for (let n = 0; n <= 3; n++) await set(other, projectId, user, { status: `n${n}` });
    })();
    await using reader = watch([user]);
    await setting;
    await reader.until(() => reader.statusOf(user) === "n3");
    const revisions = reader.messages
      .flatMap(({ event }) => (event.kind === "update" ? event.presences : []))
      .map((it) => it.revision);
    expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
  }
});

test("a slow reader skips what lies between and gets the latest", async () => {
  const users = await makeUsers(db, projectId, 3);
  const input = watchInput({ projectId, keys: ids(users) });
  const left = new AbortController();
  const stream = watchPresence(presence, input, { left: left.signal, ended: new AbortController().signal });
  for (let kind = ""; kind !== "snapshotComplete"; ) kind = (await stream.next()).value?.event.kind ?? "";
  await using quick = watch(users);
  await quick.snapshot();
  for (let n = 0; n < 20; n++)
    await Promise.all(
      users.map((user) => set(presence, projectId, user, { status: `n${n}`, message: "x".repeat(200) })),
    );
  await quick.until(() => users.every((user) => quick.statusOf(user) === "n19"));
  const { event } = (await stream.next()).value ?? {};
  expect(event).toMatchObject({ kind: "update", presences: users.map(() => ({ status: "n19" })) });
  left.abort();
  await expect(stream.next()).rejects.toMatchObject({ name: "AbortError" });
});

test("chains too long for a notification arrive as well", async () => {
  const users = await makeUsers(db, projectId, 30);
  await using reader = watch(users);
  await reader.snapshot();
  const chain = (n: number) => ({ status: "long", message: "é".repeat(200), metadata: { text: "é".repeat(n * 60) } });
  await Promise.all(users.map((user, n) => set(other, projectId, user, chain(n))));
  await expect.poll(() => unlike(reader, users, "long"), PATIENCE).toEqual([]);
});

test("who watches a user is told when it is deleted, and nothing more of it", async () => {
  const [user = "", friend = ""] = await makeUsers(db, projectId, 2);
  await using reader = watch([user, friend]);
  await reader.snapshot();
  await deleteUser(db, projectId, user);
  other.announceDeletion(projectId, user);
  await reader.until(({ deleted }) => deleted.length > 0);
  expect(reader.deleted).toEqual([user]);
  await set(presence, projectId, friend, { status: "alone" });
  await reader.until(() => reader.statusOf(friend) === "alone");
  expect(reader.historyOf(user)).toEqual(["offline"]);
});

test("an announcement of a deletion that never happened changes nothing", async () => {
  const [user = ""] = await makeUsers(db, projectId, 1);
  await using reader = watch([user]);
  await reader.snapshot();
  other.announceDeletion(projectId, user);
  await set(other, projectId, user, { status: "here" });
  await reader.until(() => reader.statusOf(user) === "here");
  expect(reader.deleted).toEqual([]);
});

test("users that do not exist, and those of other projects, look as if never set", async () => {
  const [stranger = ""] = await makeUsers(db, await makeProject(db), 1);
  const nobody = randomUUID();
  const keys = [
    ...ids([stranger, nobody]),
    { by: "externalId", value: "none" },
    { by: "email", value: "a@b.c" },
  ] as const;
  await using reader = new Reader(presence, { projectId, keys });
  await reader.snapshot();
  const seen = reader.messages.flatMap(({ event }) => (event.kind === "update" ? event.presences : []));
  const never = { status: "offline", revision: 0, step: 0 };
  expect(seen).toHaveLength(3);
  expect(seen).toContainEqual({ userId: stranger, externalId: "", ...never });
  expect(seen).toContainEqual({ userId: nobody, externalId: "", ...never });
  expect(seen).toContainEqual({ userId: "", externalId: "none", ...never });
});

test("a store that lost its latest changes is shown as it is, after a resync", async () => {
  const users = await makeUsers(db, projectId, 3);
  await Promise.all(users.map((user) => set(presence, projectId, user, { status: "before" })));
  const { rows } = await db.pool.query("select * from presences where user_id = any($1)", [users]);
  await Promise.all(users.map((user) => set(presence, projectId, user, { status: "lost" })));
  await using reader = watch(users);
  await reader.snapshot();
  for (const row of rows)
    await db.pool.query("update presences set rev = $2, set_at = $3, since = $4, chain = $5 where user_id = $1", [
      row.user_id,
      row.rev,
      row.set_at,
      row.since,
      row.chain,
    ]);
  await killListeners(db);
  await expect.poll(() => unlike(reader, users, "before"), PATIENCE).toEqual([]);
  await reader.until(({ kinds }) => kinds.filter((kind) => kind === "snapshotComplete").length > 1);
  const { kinds } = reader;
  expect(kinds).toContain("resync");
  expect(kinds.lastIndexOf("snapshotComplete")).toBeGreaterThan(kinds.indexOf("resync"));
});

test("what is set while notifications do not arrive is seen once they do again", async () => {
  const users = await makeUsers(db, projectId, 20);
  await using reader = watch(users);
  await reader.snapshot();
  for (let round = 0; round < 3; round++) {
    await killListeners(db);
    await Promise.all(users.map((user) => set(other, projectId, user, { status: `round ${round}` })));
    await expect.poll(() => unlike(reader, users, `round ${round}`), PATIENCE).toEqual([]);
  }
});

test("links of thousands of users that run out together are all told", async () => {
  const users = await makeUsers(db, projectId, 2_000);
  await using reader = watch(users);
  await reader.snapshot();
  await Promise.all(
    users.map((user) => set(presence, projectId, user, { status: "on", ttl: 300 * MS }, { status: "gone" })),
  );
  await expect.poll(() => unlike(reader, users, "gone"), PATIENCE).toEqual([]);
});
