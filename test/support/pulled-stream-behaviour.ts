import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import type { Database } from "../../src/db/orm.ts";
import { MusterError } from "../../src/errors.ts";
import { takeAway } from "../tokens/tokens-fixture.ts";
import type { FakeClock } from "./fake-clock.ts";

/** What a stream says: of its own, `snapshotComplete`, or what every stream says. */
export interface News {
  readonly kind: string;
}

interface StreamResult {
  readonly done?: boolean;
  readonly value: News | undefined;
}

/** A stream of a project of its own, once its snapshot is complete, pulled by the test. */
export interface OpenedStream {
  next(): Promise<StreamResult>;
  return(): Promise<unknown>;
  /** Makes happen what the stream tells of. */
  write(): Promise<void>;
  readonly left: AbortController;
  readonly ended: AbortController;
  /** How often the stream has said that it is over. */
  timesOver(): number;
}

export interface PulledStreamSubject {
  readonly db: Database;
  readonly clock: FakeClock;
  open(): Promise<OpenedStream>;
  /** What it tells of what happens. */
  readonly item: News & Record<string, unknown>;
  /** How many timers are left once all streams are gone. */
  readonly timersOfFeed: number;
}

/** Moves time on until something settles, not much faster than the database answers. */
export async function whileTimePasses<T>(clock: FakeClock, work: Promise<T>): Promise<T> {
  let over = false;
  const settled = work.finally(() => (over = true));
  settled.catch(() => {});
  while (!over) {
    await clock.advance(500);
    await sleep(20);
  }
  return settled;
}

/** What every stream that is pulled message by message does, whatever it tells of. */
export function testPulledStream({ db, clock, open, item, timersOfFeed }: PulledStreamSubject): void {
  async function openStream() {
    const stream = await open();
    onTestFinished(() => void stream.return());
    const next = async () => (await stream.next()).value as News;
    const whileAway = () => whileTimePasses(clock, next());
    return { ...stream, next, whileAway, nextResult: stream.next };
  }

  test("a server that shuts down says goodbye and when to come again, and then why", async () => {
    const { next, ended, timesOver } = await openStream();
    const told = next();
    ended.abort(new MusterError("SHUTTING_DOWN"));
    expect(await told).toMatchObject({ kind: "goodbye", reconnectAfterMs: expect.any(Number) });
    await expect(next()).rejects.toMatchObject({ reason: "SHUTTING_DOWN" });
    expect(timesOver()).toBeGreaterThan(0);
  });

  test("a reader whose access has ended hears why and nothing more", async () => {
    const { next, write, ended, timesOver } = await openStream();
    await write();
    ended.abort(new MusterError("CREDENTIAL_INVALID"));
    await expect(next()).rejects.toMatchObject({ reason: "CREDENTIAL_INVALID" });
    expect(timesOver()).toBeGreaterThan(0);
  });

  test("a reader that accepts nothing for a minute is let go", async () => {
    const { next, timesOver } = await openStream();
    await clock.advance(59_999);
    expect(timesOver()).toBe(0);
    await clock.advance(1);
    expect(timesOver()).toBeGreaterThan(0);
    await expect(next()).rejects.toMatchObject({ reason: "READER_STALLED" });
  });

  test("a reader that leaves leaves nothing behind", async () => {
    const { next, left, timesOver } = await openStream();
    left.abort(new Error("gone"));
    expect(timesOver()).toBeGreaterThan(0);
    await expect(next()).rejects.toThrow("gone");
    await expectNothingLeft();
  });

  test("a stream that is given back leaves nothing behind, also while it waits", async () => {
    const stream = await openStream();
    const waiting = stream.nextResult();
    expect(await stream.return()).toEqual({ done: true, value: undefined });
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(await stream.nextResult()).toEqual({ done: true, value: undefined });
    expect(stream.timesOver()).toBeGreaterThan(0);
    await expectNothingLeft();
  });

  test("while the database is away heartbeats say so, what happened meanwhile comes when it is back", async () => {
    const { whileAway, write } = await openStream();
    await write();
    const giveBack = takeAway(db);
    expect(await whileAway()).toEqual({ kind: "heartbeat", stale: true });
    giveBack();
    let news = await whileAway();
    while (news.kind === "heartbeat") news = await whileAway();
    expect(news).toMatchObject(item);
  });

  test("after a minute without the database a stream ends", async () => {
    const { next } = await openStream();
    const giveBack = takeAway(db);
    const end = async () => {
      for (;;) await next();
    };
    await expect(whileTimePasses(clock, end())).rejects.toMatchObject({ reason: "STORAGE_UNAVAILABLE" });
    giveBack();
  });

  /** What is kept for readers to come back to goes after a while. */
  async function expectNothingLeft() {
    await whileTimePasses(clock, sleep(1_000));
    await expect.poll(() => clock.pending, { timeout: 15_000, interval: 20 }).toBe(timersOfFeed);
  }
}
