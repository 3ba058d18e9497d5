import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { createListener } from "../../src/db/listener.ts";
import { createEventFeed } from "../../src/events/event-feed.ts";
import { createWatchMessages } from "../../src/events/event-message.ts";
import { eventTypesOf } from "../../src/events/event-types.ts";
import { watchEvents } from "../../src/events/watch-events.ts";
import { createLogger } from "../../src/logger.ts";
import { createPageTokens } from "../../src/page-tokens.ts";
import { testDatabase } from "../support/database.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { testPulledStream, whileTimePasses } from "../support/pulled-stream-behaviour.ts";
import { settle } from "../support/settled-events.ts";
import { append } from "./events-fixture.ts";

const db = await testDatabase();
const clock = createFakeClock();
const logger = createLogger("silent");
const listener = createListener(db.address, systemClock, logger);
const pageTokens = createPageTokens([randomBytes(32)]);
const input = { cursor: "", fromOldest: false, types: eventTypesOf([]), userId: undefined };
afterAll(() => listener[Symbol.asyncDispose]());

/** The feed of a process; its tails live by the fake clock as well. */
function newFeed() {
  const eventFeed = createEventFeed({ db, listener, clock, logger });
  afterAll(() => eventFeed[Symbol.asyncDispose]());
  return eventFeed;
}

/** A stream of the feed, once its snapshot is complete. */
async function openOn(eventFeed: ReturnType<typeof newFeed>, projectId: string) {
  const [left, ended] = [new AbortController(), new AbortController()];
  let over = 0;
  const signals = { left: left.signal, ended: ended.signal, onOver: () => void over++ };
  const stream = watchEvents({ db, clock, eventFeed, pageTokens }, { ...input, projectId }, signals);
  const next = async () => {
    const { done, value } = await stream.next();
    return { done: done ?? false, value: value?.news };
  };
  expect((await next()).value).toEqual({ kind: "snapshotComplete" });
  return { stream, next, return: () => stream.return(), left, ended, timesOver: () => over };
}

async function write(projectId: string, n: number) {
  await append(db.pool, projectId, n);
  await settle(db, projectId);
}

async function open() {
  const projectId = randomUUID();
  return { ...(await openOn(newFeed(), projectId)), write: () => write(projectId, 1) };
}

testPulledStream({ db, clock, open, item: { kind: "event", event: { data: { n: 1 } } }, timersOfFeed: 0 });

test("what nobody gives a hint of is told nevertheless", async () => {
  const stream = await open();
  await stream.write();
  const { value } = await whileTimePasses(clock, stream.next());
  expect(value).toMatchObject({ kind: "event", event: { data: { n: 1 } } });
  stream.left.abort();
});

test("what happens is the same message on the wire to all who watch it", async () => {
  const [projectId, eventFeed] = [randomUUID(), newFeed()];
  const watchMessage = createWatchMessages(pageTokens);
  const streams = await Promise.all([1, 2, 3].map(() => openOn(eventFeed, projectId)));
  const tell = async (n: number) => {
    await write(projectId, n);
    const told = Promise.all(streams.map(({ stream }) => stream.next()));
    return (await whileTimePasses(clock, told)).map(({ value }) => value && watchMessage(projectId, value));
  };
  // What came before the tail was there, each has read by itself.
  await tell(1);
  const messages = await tell(2);
  expect(messages[0]).toMatchObject({ cursor: expect.stringMatching(/./), news: { value: { data: { n: 2 } } } });
  expect(new Set(messages).size).toBe(1);
  for (const { left } of streams) left.abort();
});
