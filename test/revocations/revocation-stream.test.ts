import { randomBytes, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { createListener } from "../../src/db/listener.ts";
import { MusterError } from "../../src/errors.ts";
import { createLogger } from "../../src/logger.ts";
import { createPageTokens } from "../../src/page-tokens.ts";
import { startFeed } from "../../src/revocations/feed.ts";
import { watchRevocations } from "../../src/revocations/revocations.ts";
import { testDatabase } from "../support/database.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { takeAway } from "../tokens/tokens-fixture.ts";

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

/** A stream of a project of its own, once its snapshot is complete, pulled by the test. */
async function openStream() {
  // A test before may have moved time on faster than the database answers.
  for (; feed.staleFor > 0; await sleep(20)) await clock.advance(500);
  const projectId = randomUUID();
  const [left, ended] = [new AbortController(), new AbortController()];
  const signals = { left: left.signal, ended: ended.signal };
  const input = { projectId, resumeToken: new Uint8Array() };
  const stream = watchRevocations({ db, clock, feed, pageTokens }, input, signals);
  const next = async () => (await stream.next()).value.event;
  expect(await next()).toEqual({ kind: "snapshotComplete" });
  const revoke = () =>
    db.pool.query(
      `insert into revocations (project_id, token_id, cause, forget_after_time, create_time)
       values ($1, gen_random_uuid(), 'TOKEN_REVOKED', $2, now())`,
      [projectId, new Date(clock.now() + 3_600_000)],
    );
  return { next, revoke, left, ended };
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

test("a server that shuts down says goodbye and when to come again, and then why", async () => {
  const { next, ended } = await openStream();
  const told = next();
  ended.abort(new MusterError("SHUTTING_DOWN"));
  expect(await told).toMatchObject({ kind: "goodbye", reconnectAfterMs: expect.any(Number) });
  await expect(next()).rejects.toMatchObject({ reason: "SHUTTING_DOWN" });
});

test("a reader whose access has ended hears why and nothing more", async () => {
  const { next, revoke, ended } = await openStream();
  await revoke();
  ended.abort(new MusterError("CREDENTIAL_INVALID"));
  await expect(next()).rejects.toMatchObject({ reason: "CREDENTIAL_INVALID" });
});

test("a reader that accepts nothing for a minute is let go", async () => {
  const { next } = await openStream();
  await clock.advance(60_000);
  await expect(next()).rejects.toMatchObject({ reason: "READER_STALLED" });
});

test("a reader that leaves leaves nothing behind", async () => {
  const { next, left } = await openStream();
  left.abort(new Error("gone"));
  await expect(next()).rejects.toThrow("gone");
  // The feed's own.
  await expect.poll(() => clock.pending, { timeout: 15_000, interval: 5 }).toBe(1);
});

test("while the database is away heartbeats say so, what ended meanwhile comes when it is back", async () => {
  const { next, revoke } = await openStream();
  await revoke();
  const giveBack = takeAway(db);
  const silence = await whileTimePasses(next());
  expect(silence).toEqual({ kind: "heartbeat", stale: true });
  giveBack();
  let event = await whileTimePasses(next());
  while (event.kind === "heartbeat") event = await whileTimePasses(next());
  expect(event.kind).toBe("revocation");
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
