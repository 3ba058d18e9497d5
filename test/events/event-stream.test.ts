import { randomBytes, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { createListener } from "../../src/db/listener.ts";
import { MusterError } from "../../src/errors.ts";
import { createEventFeed } from "../../src/events/event-feed.ts";
import { eventTypesOf } from "../../src/events/event-types.ts";
import { watchEvents } from "../../src/events/watch-events.ts";
import { createLogger } from "../../src/logger.ts";
import { createPageTokens } from "../../src/page-tokens.ts";
import { testDatabase } from "../support/database.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { takeAway } from "../tokens/tokens-fixture.ts";
import { append, settle } from "./events-fixture.ts";

const db = await testDatabase();
const clock = createFakeClock();
const logger = createLogger("silent");
const listener = createListener(db.address, systemClock, logger);
const pageTokens = createPageTokens([randomBytes(32)]);
afterAll(() => listener[Symbol.asyncDispose]());

/** A stream of a project of its own, once its snapshot is complete, pulled by the test; its tail lives by the fake clock as well. */
async function openStream() {
  const eventFeed = createEventFeed({ db, listener, clock, logger });
  afterAll(() => eventFeed[Symbol.asyncDispose]());
  const projectId = randomUUID();
  const [left, ended] = [new AbortController(), new AbortController()];
  const signals = { left: left.signal, ended: ended.signal };
  const input = { projectId, cursor: "", fromOldest: false, types: eventTypesOf([]), userId: undefined };
  const stream = watchEvents({ db, clock, eventFeed, pageTokens }, input, signals);
  const next = async () => (await stream.next()).value.news;
  expect(await next()).toEqual({ kind: "snapshotComplete" });
  const write = async (n: number) => {
    await append(db.pool, projectId, n);
    await settle(db, projectId);
  };
  return { next, write, left, ended, projectId };
}

/** Moves time on until something settles, not much faster than the database answers. */
async function whileTimePasses<T>(work: Promise<T>): Promise<T> {
  let over = false;
  const settled = work.finally(() => (over = true));
  settled.catch(() => {});
  while (!over) {
    await clock.advance(500);
    await sleep(20);
  }
  return settled;
}

test("what nobody gives a hint of is told nevertheless", async () => {
  const { next, write } = await openStream();
  await write(1);
  expect(await whileTimePasses(next())).toMatchObject({ kind: "event", event: { data: { n: 1 } } });
});

test("a server that shuts down says goodbye and when to come again, and then why", async () => {
  const { next, ended } = await openStream();
  const told = next();
  ended.abort(new MusterError("SHUTTING_DOWN"));
  expect(await told).toMatchObject({ kind: "goodbye", reconnectAfterMs: expect.any(Number) });
  await expect(next()).rejects.toMatchObject({ reason: "SHUTTING_DOWN" });
});

test("a reader whose access has ended hears why and nothing more", async () => {
  const { next, write, ended } = await openStream();
  await write(1);
  ended.abort(new MusterError("CREDENTIAL_INVALID"));
  await expect(next()).rejects.toMatchObject({ reason: "CREDENTIAL_INVALID" });
});

test("a reader that accepts nothing for a minute is let go", async () => {
  const { next } = await openStream();
  await clock.advance(60_000);
  await expect(next()).rejects.toMatchObject({ reason: "READER_STALLED" });
});

test("a reader that leaves leaves nothing behind", async () => {
  const before = clock.pending;
  const { next, left } = await openStream();
  left.abort(new Error("gone"));
  await expect(next()).rejects.toThrow("gone");
  // Its tail is kept for a while, for it to come back.
  await whileTimePasses(sleep(1_000));
  await expect.poll(() => clock.pending, { timeout: 15_000, interval: 20 }).toBeLessThanOrEqual(before);
});

test("while the database is away heartbeats say so, what happened meanwhile comes when it is back", async () => {
  const { next, write } = await openStream();
  await write(1);
  const giveBack = takeAway(db);
  const silence = await whileTimePasses(next());
  expect(silence).toEqual({ kind: "heartbeat", stale: true });
  giveBack();
  let news = await whileTimePasses(next());
  while (news.kind === "heartbeat") news = await whileTimePasses(next());
  expect(news).toMatchObject({ kind: "event", event: { data: { n: 1 } } });
});

test("after a minute without the database a stream ends", async () => {
  const { next } = await openStream();
  const giveBack = takeAway(db);
  const end = async () => {
    for (;;) await next();
  };
  await expect(whileTimePasses(end())).rejects.toMatchObject({ reason: "STORAGE_UNAVAILABLE" });
  giveBack();
});
