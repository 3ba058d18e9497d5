import { randomBytes, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { createListener } from "../../src/db/listener.ts";
import { createLogger } from "../../src/logger.ts";
import { createPageTokens } from "../../src/page-tokens.ts";
import { startFeed } from "../../src/revocations/feed.ts";
import { watchRevocations } from "../../src/revocations/revocations.ts";
import { testDatabase } from "../support/database.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { testPulledStream } from "../support/pulled-stream-behaviour.ts";

const db = await testDatabase();
const clock = createFakeClock();
const logger = createLogger("silent");
const listener = createListener(db.address, systemClock, logger);
const feed = await startFeed({ db, listener, clock, logger });
afterAll(async () => {
  await feed[Symbol.asyncDispose]();
  await listener[Symbol.asyncDispose]();
});
const pageTokens = createPageTokens([randomBytes(32)]);

async function open() {
  // A test before may have moved time on faster than the database answers.
  for (; feed.staleFor > 0; await sleep(20)) await clock.advance(500);
  const projectId = randomUUID();
  const [left, ended] = [new AbortController(), new AbortController()];
  let over = 0;
  const signals = { left: left.signal, ended: ended.signal, onOver: () => void over++ };
  const input = { projectId, resumeToken: new Uint8Array() };
  const stream = watchRevocations({ db, clock, feed, pageTokens }, input, signals);
  const next = async () => {
    const { done, value } = await stream.next();
    return { done: done ?? false, value: value?.event };
  };
  expect((await next()).value).toEqual({ kind: "snapshotComplete" });
  const write = async () => {
    await db.pool.query(
      `insert into revocations (project_id, token_id, cause, forget_after_time, create_time)
       values ($1, gen_random_uuid(), 'TOKEN_REVOKED', $2, now())`,
      [projectId, new Date(clock.now() + 3_600_000)],
    );
  };
  return { next, return: () => stream.return(), write, left, ended, timesOver: () => over };
}

// The feed's own timer goes on.
testPulledStream({ db, clock, open, item: { kind: "revocation" }, timersOfFeed: 1 });
