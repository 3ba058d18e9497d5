import { randomUUID } from "node:crypto";
import { afterAll, expect, test } from "vitest";
import { batchGetPresence } from "../../src/presence/batch-get-presence.ts";
import { createBatchWriter } from "../../src/presence/batch-writer.ts";
import { getPresence } from "../../src/presence/get-presence.ts";
import { setPresence } from "../../src/presence/set-presence.ts";
import { testDatabase } from "../support/database.ts";
import { deleteUser, eventually, MS, makeProject, makeUsers, set, startPresence } from "./presence-fixture.ts";

const db = await testDatabase();
const projectId = await makeProject(db);
const presence = startPresence(db);
afterAll(() => presence[Symbol.asyncDispose]());

const get = (userId: string) => getPresence(presence, { projectId }, { by: "id", value: userId });

test("what was set is in force, by whatever identifier", async () => {
  const [user = ""] = await makeUsers(db, projectId, 1);
  const input = {
    key: { by: "externalId", value: `ext-${user}` },
    steps: [{ status: "busy", message: "até já", metadata: { room: 4 } }],
  } as const;
  const stored = await setPresence(presence, { projectId }, input);
  expect(stored).toMatchObject({ userId: user, externalId: `ext-${user}`, status: "busy", step: 0 });
  expect(await get(user)).toEqual(stored);
  expect(stored.metadata).toEqual({ room: 4 });
});

test("who never set a presence has the project's default one, with revision 0", async () => {
  const [user = ""] = await makeUsers(db, projectId, 1);
  expect(await get(user)).toEqual({ userId: user, externalId: `ext-${user}`, status: "offline", revision: 0, step: 0 });
});

test("a chain runs out by itself, and nothing is written for it", async () => {
  const [user = ""] = await makeUsers(db, projectId, 1);
  const chain = [
    { status: "online", ttl: 40 * MS },
    { status: "away", ttl: 1_500 * MS },
  ];
  const { record } = await set(presence, projectId, user, ...chain);
  await eventually(async () => (await get(user)).status === "away");
  await eventually(async () => (await get(user)).status === "offline");
  const after = await get(user);
  expect(after).toMatchObject({ step: 2, revision: record.revision, since: record.setAt + 1_540 * MS });
});

test("a refresh moves the deadline and keeps when it began; after the first link it begins anew", async () => {
  const [user = ""] = await makeUsers(db, projectId, 1);
  const chain = [{ status: "online", ttl: 1_500 * MS }, { status: "away" }];
  const first = await set(presence, projectId, user, ...chain);
  const second = await set(presence, projectId, user, ...chain);
  expect(second.record.since).toBe(first.record.since);
  expect(second.record.setAt).toBeGreaterThan(first.record.setAt);
  expect(second.record.revision).toBeGreaterThan(first.record.revision);
  await eventually(async () => (await get(user)).status === "away");
  const third = await set(presence, projectId, user, ...chain);
  expect(third.record.since).toBe(third.record.setAt);
});

test("an unknown user and a deleted one fail alone, each with its reason", async () => {
  const [gone = "", ...users] = await makeUsers(db, projectId, 21);
  await deleteUser(db, projectId, gone);
  const put = (value: string) =>
    setPresence(presence, { projectId }, { key: { by: "id", value }, steps: [{ status: "online" }] });
  const results = await Promise.allSettled([put(randomUUID()), put(gone), ...users.map(put)]);
  expect(results[0]).toMatchObject({ reason: { reason: "USER_NOT_FOUND" } });
  expect(results[1]).toMatchObject({ reason: { reason: "USER_DELETED" } });
  expect(results.slice(2).map(({ status }) => status)).toEqual(users.map(() => "fulfilled"));
  await expect(get(gone)).rejects.toMatchObject({ reason: "USER_DELETED" });
  await expect(get(randomUUID())).rejects.toMatchObject({ reason: "USER_NOT_FOUND" });
});

test("users of another project are not there", async () => {
  const [user = ""] = await makeUsers(db, await makeProject(db), 1);
  await expect(set(presence, projectId, user, { status: "online" })).rejects.toMatchObject({
    reason: "USER_NOT_FOUND",
  });
  await expect(get(user)).rejects.toMatchObject({ reason: "USER_NOT_FOUND" });
});

test("revisions of a user strictly rise, whichever process sets them", async () => {
  const other = startPresence(db);
  const [user = ""] = await makeUsers(db, projectId, 1);
  let last = 0;
  for (let round = 0; round < 50; round++) {
    const racing = [presence, other].map((it) => set(it, projectId, user, { status: `${round}` }));
    const revisions = (await Promise.all(racing)).map(({ record }) => record.revision).sort((a, b) => a - b);
    expect(new Set(revisions).size).toBe(2);
    expect(revisions[0]).toBeGreaterThan(last);
    last = revisions[1] ?? 0;
  }
  await other[Symbol.asyncDispose]();
});

test("of a hundred racing sets one is in force in the end, and the caller of each was told of one that was", async () => {
  const [user = ""] = await makeUsers(db, projectId, 1);
  const results = await Promise.all(
    Array.from({ length: 100 }, (_, n) => set(presence, projectId, user, { status: `s${n}` })),
  );
  const stored = await get(user);
  const revisions = results.map(({ record }) => record.revision);
  expect(Math.max(...revisions)).toBe(stored.revision);
  // Changes of one user that meet in a batch are one.
  expect(new Set(revisions).size).toBeLessThan(100);
});

test("a thousand users in one go take few statements", async () => {
  const users = await makeUsers(db, projectId, 1_000);
  const batches: number[] = [];
  const writer = createBatchWriter({
    ...presence.engine,
    set(changes) {
      batches.push(changes.length);
      return presence.engine.set(changes);
    },
  });
  const put = (userId: string) => set({ ...presence, writer }, projectId, userId, { status: "online" });
  await Promise.all(users.map(put));
  expect(batches).toEqual([500, 500]);
  const keys = [...users, randomUUID()].map((value) => ({ by: "id", value }) as const);
  const { presences, missing } = await batchGetPresence(presence, { projectId }, keys);
  expect(presences.map(({ status }) => status)).toEqual(users.map(() => "online"));
  expect(presences.map(({ userId }) => userId)).toEqual(users);
  expect(missing).toEqual([1_000]);
});

test("deleting users while their presence is set for the first time and again fails nobody else", async () => {
  for (let round = 0; round < 10; round++) {
    const users = await makeUsers(db, projectId, 60);
    await Promise.all(users.slice(0, 20).map((user) => set(presence, projectId, user, { status: "first" })));
    const doomed = users.slice(10, 30);
    const [results] = await Promise.all([
      Promise.allSettled(users.map((user) => set(presence, projectId, user, { status: "online" }))),
      ...doomed.map((user) => deleteUser(db, projectId, user)),
    ]);
    const failed = results.flatMap((result, index) =>
      result.status === "rejected" ? [{ user: users[index] ?? "", reason: result.reason.reason }] : [],
    );
    expect(failed.filter(({ user, reason }) => !doomed.includes(user) || reason !== "USER_NOT_FOUND")).toEqual([]);
  }
});

test("a user that another transaction holds delays only itself", async () => {
  const [held = "", free = ""] = await makeUsers(db, projectId, 2);
  const client = await db.pool.connect();
  await client.query("begin");
  await client.query("select from users where project_id = $1 and id = $2 for update", [projectId, held]);
  let done = false;
  const waiting = set(presence, projectId, held, { status: "online" }).then(() => {
    done = true;
  });
  await set(presence, projectId, free, { status: "online" });
  expect(done).toBe(false);
  await client.query("rollback");
  client.release();
  await waiting;
  expect((await get(held)).status).toBe("online");
});
