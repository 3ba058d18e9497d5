import { expect, test } from "vitest";
import { createRandom } from "../support/random.ts";
import { Crowd, CrowdReader } from "./watch-crowd.ts";

const SECOND = 1_000_000;

test("while the store is out of reach heartbeats say so; it may come back within a minute", async () => {
  using crowd = new Crowd();
  const users = crowd.users(3);
  const reader = crowd.read(users);
  await crowd.clock.advance(1_000);
  crowd.engine.isAway = true;
  await crowd.clock.advance(60_000);
  const beats = () => reader.messages.flatMap(({ event }) => (event.kind === "heartbeat" ? event.stale : []));
  expect(beats()).toContain(true);
  const { token } = reader;
  expect(token.length).toBeGreaterThan(0);
  crowd.engine.isAway = false;
  await crowd.clock.advance(60_000);
  expect(beats().at(-1)).toBe(false);
  expect(reader.failure).toBeUndefined();
  crowd.engine.isAway = true;
  await crowd.clock.advance(180_000);
  expect(reader.failure).toMatchObject({ reason: "STORAGE_UNAVAILABLE" });
});

test("steps of the machine's clock change nothing", async () => {
  using crowd = new Crowd();
  const users = crowd.users(2);
  const reader = crowd.read(users);
  await crowd.clock.advance(100);
  for (const subject of users) crowd.set(subject, { status: "online", ttl: 10 * SECOND }, { status: "away" });
  await crowd.clock.advance(9_000);
  crowd.clock.step(300_000);
  await crowd.clock.advance(900);
  crowd.clock.step(-600_000);
  expect(reader.told()).toEqual({ offline: 2, online: 2 });
  await crowd.clock.advance(200);
  expect(reader.told()).toEqual({ offline: 2, online: 2, away: 2 });
});

test("where the store's clock is set back, tokens from the time that comes twice are whole snapshots", async () => {
  using crowd = new Crowd();
  const users = crowd.users(2);
  const first = crowd.read(users);
  await crowd.clock.advance(1_000);
  const early = first.token;
  await crowd.clock.advance(400_000);
  const late = first.token;
  crowd.engine.offset = -300 * SECOND;
  await crowd.clock.advance(62_000);
  const resumes = async (token: Uint8Array) => {
    const reader = crowd.read(users, token);
    await crowd.clock.advance(1_000);
    return reader.messages[0]?.event.kind === "opened" && reader.messages[0].event.resumed;
  };
  expect([await resumes(early), await resumes(late)]).toEqual([true, false]);
  await crowd.clock.advance(310_000);
  expect([await resumes(early), await resumes(late), await resumes(first.token)]).toEqual([true, false, true]);
});

test("100,000 links that run out in the same moment are all told, each once", async () => {
  using crowd = new Crowd();
  const users = crowd.users(100_000);
  const readers = Array.from({ length: 10 }, (_, n) => crowd.read(users.slice(n * 10_000, (n + 1) * 10_000)));
  await crowd.clock.advance(1_000);
  for (const subject of users) crowd.set(subject, { status: "online", ttl: 5 * SECOND }, { status: "away" });
  await crowd.clock.advance(4_000);
  crowd.engine.reads = 0;
  await crowd.clock.advance(2_000);
  for (const reader of readers) expect(reader.told()).toEqual({ offline: 10_000, online: 10_000, away: 10_000 });
  expect(crowd.engine.reads).toBe(100_000);
});

test("5,000 readers that come back at once go on where they were, and each user is read but a few times for all of them", async () => {
  using crowd = new Crowd();
  const users = crowd.users(1_000);
  const random = createRandom(5);
  const lists = Array.from({ length: 5_000 }, () => Array.from({ length: 20 }, () => users[random(1_000)] ?? users[0]));
  const once = lists.map((list) => [...new Set(list)].flatMap((subject) => subject ?? []));
  const before = once.map((list) => crowd.read(list));
  await crowd.clock.advance(1_000);
  for (const reader of before) reader.leaving.abort();
  const [changed] = users;
  if (changed) crowd.set(changed, { status: "online" });
  await crowd.clock.advance(5_000);
  crowd.engine.reads = 0;
  const after = once.map((list, index) => crowd.read(list, before[index]?.token));
  await crowd.clock.advance(1_000);
  for (const [index, reader] of after.entries()) {
    expect(reader.messages[0]?.event).toMatchObject({ kind: "opened", resumed: true });
    expect(reader.told()).toEqual(once[index]?.includes(changed as never) ? { online: 1 } : {});
    expect(reader.kinds()).toContain("snapshotComplete");
  }
  expect(crowd.engine.reads).toBeLessThanOrEqual(5_000);
});

test("200 readers that accept nothing hold nobody up, and are let go after a minute", async () => {
  using crowd = new Crowd();
  const users = crowd.users(50);
  const stalled = Array.from({ length: 200 }, () => new CrowdReader(crowd, users));
  const opening = Promise.all(stalled.map(({ stream }) => stream.next()));
  const reader = crowd.read(users);
  await crowd.clock.advance(1_000);
  await opening;
  for (let n = 0; n < 50; n++) {
    for (const subject of users) crowd.set(subject, { status: `s${n}` });
    await crowd.clock.advance(1_000);
  }
  expect(Object.keys(reader.told())).toHaveLength(51);
  expect(crowd.open.size).toBe(201);
  await crowd.clock.advance(10_000);
  expect(crowd.open.size).toBe(1);
  const outcomes = await Promise.allSettled(stalled.map(({ stream }) => stream.next()));
  const isStalled = { status: "rejected", reason: { reason: "READER_STALLED" } };
  expect(outcomes).toMatchObject(outcomes.map(() => isStalled));
});

test("after an hour of readers that come, change their lists, stall and leave, every count is zero", async () => {
  using crowd = new Crowd();
  const users = crowd.users(60);
  const random = createRandom(9);
  const some = (most: number) =>
    [...new Set(Array.from({ length: 1 + random(most) }, () => users[random(60)]))].flatMap((it) => it ?? []);
  const none = { subjects: [], unknownExternalIds: [] };
  const readers: CrowdReader[] = [];
  for (let minute = 0; minute < 60; minute++) {
    for (let n = random(5); n > 0; n--) readers.push(crowd.read(some(20), readers[random(readers.length)]?.token));
    if (random(3) === 0) void new CrowdReader(crowd, some(20)).stream.next();
    for (const subject of some(10))
      crowd.set(subject, { status: `m${minute}`, ttl: (1 + random(90)) * SECOND }, { status: "x" });
    const reader = readers[random(readers.length)];
    if (reader?.failure === undefined)
      reader?.stream.change({ ...none, subjects: some(5) }, { ...none, subjects: some(5) });
    readers[random(readers.length)]?.leaving.abort();
    if (random(10) === 0) crowd.store.interrupt();
    await crowd.clock.advance(60_000);
  }
  expect(crowd.open.size).toBeGreaterThan(0);
  for (const { leaving } of readers) leaving.abort();
  await crowd.clock.advance(120_000);
  expect({ open: crowd.open.size, watched: crowd.hub.size, timers: crowd.clock.pending }).toEqual({
    open: 0,
    watched: 0,
    timers: 0,
  });
});
