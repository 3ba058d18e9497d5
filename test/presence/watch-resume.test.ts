import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, describe, expect, test } from "vitest";
import type { Presence } from "../../src/presence/presence.ts";
import { testDatabase } from "../support/database.ts";
import { deleteUser, ids, MS, makeProject, makeUsers, Reader, set, startPresence } from "./presence-fixture.ts";

const db = await testDatabase();
const projectId = await makeProject(db);
const here = startPresence(db);
const there = startPresence(db);
afterAll(async () => {
  await there[Symbol.asyncDispose]();
  await here[Symbol.asyncDispose]();
});

/** Reads a stream until `last` holds, and leaves: with the token of the last message. */
async function readUntil(presence: Presence, users: readonly string[], last: (reader: Reader) => boolean) {
  await using reader = new Reader(presence, { projectId, keys: ids(users) });
  await reader.until(last);
  return reader.messages.at(-1)?.resumeToken ?? new Uint8Array();
}

const isLive = (reader: Reader) => reader.kinds.includes("snapshotComplete");

/** Goes on from a token, until the snapshot is complete. */
async function goOn(presence: Presence, users: readonly string[], resumeToken: Uint8Array, of = projectId) {
  const reader = new Reader(presence, { projectId: of, keys: ids(users), resumeToken });
  await reader.snapshot();
  const [opened] = reader.messages;
  return Object.assign(reader, { resumed: opened?.event.kind === "opened" && opened.event.resumed });
}

/** Waits for these to be told, and for what is told after them; gives all that were. */
async function toldTo(reader: Reader, users: readonly string[]): Promise<string[]> {
  await reader.until(({ state }) => users.every((user) => state.has(user)));
  await sleep(50);
  return [...reader.state.keys()].toSorted();
}

describe.each([
  ["the same server", here],
  ["another server", there],
])("on %s, a stream that goes on from a token", (_, server) => {
  test("tells who has changed and who was not listed, and nothing else", async () => {
    const users = await makeUsers(db, projectId, 30);
    const [changed = "", , other = ""] = users;
    await Promise.all(users.map((user) => set(here, projectId, user, { status: "busy" })));
    const token = await readUntil(here, users, isLive);
    await set(here, projectId, changed, { status: "changed" });
    const [added = ""] = await makeUsers(db, projectId, 1);
    await using reader = await goOn(server, [...users, added], token);
    expect(reader.resumed).toBe(true);
    expect(await toldTo(reader, [changed, added])).toEqual([changed, added].toSorted());
    expect([reader.statusOf(changed), reader.statusOf(added)]).toEqual(["changed", "offline"]);
    await set(here, projectId, other, { status: "later" });
    await reader.until(() => reader.statusOf(other) === "later");
  });

  test("does not repeat a change that was told the moment before", async () => {
    const users = await makeUsers(db, projectId, 3);
    const [one = "", two = ""] = users;
    const token = await (async () => {
      await using reader = new Reader(here, { projectId, keys: ids(users) });
      await reader.snapshot();
      await set(there, projectId, one, { status: "told" });
      await reader.until(() => reader.statusOf(one) === "told");
      return reader.messages.at(-1)?.resumeToken ?? new Uint8Array();
    })();
    await set(there, projectId, two, { status: "missed" });
    await using reader = await goOn(server, users, token);
    expect(await toldTo(reader, [two])).toEqual([two]);
  });

  test("tells of links that ran out meanwhile, not of refreshes", async () => {
    const [ending = "", refreshed = ""] = await makeUsers(db, projectId, 2);
    await set(here, projectId, ending, { status: "online", ttl: 800 * MS }, { status: "away" });
    const beat = [{ status: "online", ttl: 60_000 * MS }, { status: "away" }];
    await set(here, projectId, refreshed, ...beat);
    const token = await readUntil(here, [ending, refreshed], isLive);
    await set(here, projectId, refreshed, ...beat);
    const { record } = await set(here, projectId, refreshed, ...beat);
    while ((await here.engine.get([{ projectId, userId: ending }])).now < record.setAt + 900 * MS);
    await using reader = await goOn(server, [ending, refreshed], token);
    expect(await toldTo(reader, [ending])).toEqual([ending]);
    expect(reader.statusOf(ending)).toBe("away");
  });

  test("tells who was deleted meanwhile; whoever never was, it does not", async () => {
    const users = [...(await makeUsers(db, projectId, 2)), randomUUID()];
    const [doomed = ""] = users;
    const token = await readUntil(here, users, isLive);
    await deleteUser(db, projectId, doomed);
    here.announceDeletion(projectId, doomed);
    await using reader = await goOn(server, users, token);
    await reader.until(() => reader.deleted.length > 0);
    expect({ told: await toldTo(reader, []), deleted: reader.deleted }).toEqual({ told: [], deleted: [doomed] });
  });

  test("may break off before it is up to date, and is gone on from all the same", async () => {
    const users = await makeUsers(db, projectId, 500);
    const first = await readUntil(here, users, isLive);
    const changed = users.slice(0, 3);
    await Promise.all(changed.map((user) => set(here, projectId, user, { status: "x" })));
    const early = await (async () => {
      await using reader = new Reader(server, { projectId, keys: ids(users), resumeToken: first });
      await reader.until(({ messages }) => messages.length > 0);
      return reader.messages[0]?.resumeToken ?? new Uint8Array();
    })();
    await using reader = await goOn(server, users, early);
    expect(reader.resumed).toBe(true);
    expect(await toldTo(reader, changed)).toEqual(changed.toSorted());
  });
});

test("an external id that belongs to nobody is told once, until somebody has it", async () => {
  const keys = [{ by: "externalId", value: `nobody ${randomUUID()}` }] as const;
  await using first = new Reader(here, { projectId, keys });
  const [user = ""] = await makeUsers(db, projectId, 1);
  const both = [...keys, ...ids([user])];
  await using second = new Reader(here, { projectId, keys: both });
  await Promise.all([first.snapshot(), second.snapshot()]);
  const resumeToken = second.messages.at(-1)?.resumeToken ?? new Uint8Array();
  await using third = new Reader(there, { projectId, keys: both, resumeToken });
  await third.snapshot();
  expect([first.state.size, second.state.size, third.state.size]).toEqual([1, 2, 0]);
  await db.pool.query("update users set external_id = $2 where id = $1", [user, keys[0].value]);
  await using fourth = new Reader(there, { projectId, keys: both, resumeToken });
  await fourth.snapshot();
  expect(fourth.state.size).toBe(0);
});

describe("a token that cannot be gone on from is a whole snapshot and no error:", () => {
  const cases: [string, (token: Buffer) => Uint8Array][] = [
    ["noise", () => Buffer.from("no token at all")],
    ["one cut off", (token) => token.subarray(0, 20)],
    ["one of another store", (token) => Buffer.from(token.map((byte, at) => (at === 3 ? byte ^ 1 : byte)))],
    ["one of the future", (token) => movedBy(token, 3_600_000 * MS)],
    ["one older than a day", (token) => movedBy(token, -24 * 3_600_000 * MS)],
  ];
  test.each(cases)("%s", async (_, change) => {
    const users = await makeUsers(db, projectId, 3);
    const token = await readUntil(here, users, isLive);
    await using reader = await goOn(there, users, change(Buffer.from(token)));
    expect({ resumed: reader.resumed, told: reader.state.size }).toEqual({ resumed: false, told: 3 });
  });

  test("one of another project", async () => {
    const users = await makeUsers(db, projectId, 3);
    const token = await readUntil(here, users, isLive);
    await using reader = await goOn(here, users, token, await makeProject(db));
    expect({ resumed: reader.resumed, told: reader.state.size }).toEqual({ resumed: false, told: 3 });
  });
});

const movedBy = (token: Buffer, micros: number): Buffer => {
  const moved = Buffer.from(token);
  moved.writeBigInt64BE(token.readBigInt64BE(7) + BigInt(micros), 7);
  return moved;
};

test("the state of 10,000 users is gone on from by a token of 400 bytes at most", async () => {
  const users = await makeUsers(db, projectId, 10_000);
  const token = await readUntil(here, users, isLive);
  const changed = users.slice(500, 540);
  await Promise.all(changed.map((user) => set(here, projectId, user, { status: "moved" })));
  await using reader = await goOn(there, users, token);
  expect(token.length).toBeLessThanOrEqual(400);
  expect(await toldTo(reader, changed)).toEqual(changed.toSorted());
});
