import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { setTimeout } from "node:timers/promises";
import pg from "pg";
import { expect, inject, test } from "vitest";
import { connectionOptions } from "../../src/db/orm.ts";
import { query } from "../../src/db/statement.ts";
import type { Job } from "../../src/jobs/job.ts";
import { testDatabase } from "../support/database.ts";
import { createFakeClock, type FakeClock } from "../support/fake-clock.ts";
import { startJobs } from "./jobs-fixture.ts";

const SECOND = 1_000;
const MINUTE = 60_000;
const db = await testDatabase();

/** A job of its own for each test. */
function job(run: Job["run"], everyMs = 5 * MINUTE): Job {
  return { name: `test-${randomUUID()}`, everyMs, run };
}

interface Row extends Record<string, unknown> {
  readonly due_time: Date;
  readonly run_id: string | null;
  readonly last_success_time: Date | null;
  readonly failures: number;
}

const rowOf = async ({ name }: Job): Promise<Row | undefined> =>
  (await query<Row>(db.pool, { text: "select * from jobs where name = $1" }, [name]))[0];

/** Lets time pass, and the processes come to the end of all that they ask the database meanwhile, which takes none of that time. */
async function pass(clock: FakeClock, ms: number): Promise<void> {
  await clock.advance(ms);
  while (db.pool.waitingCount > 0 || db.pool.idleCount < db.pool.totalCount) await setTimeout(1);
}

/** Lets time pass, a second at a time, until `read` gives what is expected. */
const comes = async <T>(clock: FakeClock, read: () => T | Promise<T>, expected: T) =>
  await expect
    .poll(
      async () => {
        await pass(clock, SECOND);
        return read();
      },
      { interval: 5 },
    )
    .toEqual(expected);

/** Lets the processes look at what is not due, and gives `read` then. */
async function after<T>(clock: FakeClock, ms: number, read: () => T): Promise<T> {
  for (let passed = 0; passed < ms; passed += 10 * SECOND) await pass(clock, Math.min(10 * SECOND, ms - passed));
  return read();
}

test("a job runs soon after the start and then each time it has rested; the table and the metric say when it last succeeded", async () => {
  const clock = createFakeClock();
  let runs = 0;
  const counted = job(async () => void runs++);
  const { lastSuccess } = startJobs(db, clock, [counted]);
  expect(await lastSuccess(counted.name)).toBeUndefined();
  await comes(clock, () => runs, 1);
  await comes(clock, async () => (await rowOf(counted))?.run_id, null);
  const first = await rowOf(counted);
  expect(await lastSuccess(counted.name)).toBe((first?.last_success_time?.getTime() ?? 0) / 1_000);
  expect(first?.due_time.getTime()).toBe((first?.last_success_time?.getTime() ?? 0) + 5 * MINUTE);
  expect(await after(clock, 4 * MINUTE, () => runs)).toBe(1);
  await comes(clock, () => runs, 2);
  await comes(clock, async () => ((await lastSuccess(counted.name)) ?? 0) * 1_000 > +(first?.due_time ?? 0), true);
});

test("of twenty processes that race for a job, one runs it each time, and all know when it succeeded", async () => {
  const clock = createFakeClock();
  let runs = 0;
  let atOnce = 0;
  const most = { atOnce: 0 };
  const raced = job(async () => {
    runs++;
    most.atOnce = Math.max(most.atOnce, ++atOnce);
    await db.pool.query("select pg_sleep(0.02)");
    atOnce--;
  }, MINUTE);
  const processes = Array.from({ length: 20 }, () => startJobs(db, clock, [raced]));
  for (let round = 1; round <= 5; round++) {
    await comes(clock, () => runs, round);
    await comes(clock, async () => (await rowOf(raced))?.run_id, null);
    expect(await after(clock, 30 * SECOND, () => runs)).toBe(round);
  }
  expect(most.atOnce).toBe(1);
  const last = (await rowOf(raced))?.last_success_time?.getTime() ?? 0;
  for (const { lastSuccess } of processes) await comes(clock, () => lastSuccess(raced.name), last / 1_000);
});

test("a run that fails is logged and tried again, later each time; the last success stays what it was", async () => {
  const clock = createFakeClock();
  const starts: number[] = [];
  let fails = false;
  const failing = job(async () => {
    starts.push(clock.now());
    if (fails) throw new Error("out of order");
  }, 20 * SECOND);
  const { log, lastSuccess } = startJobs(db, clock, [failing]);
  await comes(clock, async () => Boolean((await rowOf(failing))?.last_success_time), true);
  const succeeded = (await rowOf(failing))?.last_success_time?.getTime() ?? 0;
  fails = true;
  for (const failures of [1, 2, 3, 4]) await comes(clock, async () => (await rowOf(failing))?.failures, failures);
  const rests = starts.slice(1).map((start, i) => start - (starts[i] ?? 0));
  expect(rests).toHaveLength(4);
  for (const [i, least] of [10, 20, 40].entries()) expect(rests[i + 1]).toBeGreaterThanOrEqual(least * SECOND);
  expect(await lastSuccess(failing.name)).toBe(succeeded / 1_000);
  const lines = log.map((line) => JSON.parse(line) as object);
  expect(lines).toHaveLength(4);
  expect(lines[0]).toMatchObject({ job: failing.name, err: { message: "out of order" } });
  fails = false;
  await comes(clock, async () => (await rowOf(failing))?.failures, 0);
  expect((await rowOf(failing))?.last_success_time?.getTime()).toBeGreaterThan(succeeded);
});

/** A job whose runs last until they are aborted or let go. */
function lasting() {
  const runs: AbortSignal[] = [];
  const end = Promise.withResolvers<void>();
  const it = job(async (signal) => {
    runs.push(signal);
    await Promise.race([end.promise, once(signal, "abort")]);
    signal.throwIfAborted();
  });
  return { runs, it, letGo: () => end.resolve() };
}

test("a long run keeps its job to itself", async () => {
  const clock = createFakeClock();
  const { runs, it, letGo } = lasting();
  for (let i = 0; i < 3; i++) startJobs(db, clock, [it]);
  await comes(clock, () => runs.length, 1);
  expect(await after(clock, 10 * MINUTE, () => runs.map((signal) => signal.aborted))).toEqual([false]);
  letGo();
  await comes(clock, async () => (await rowOf(it))?.failures, 0);
  await comes(clock, async () => Boolean((await rowOf(it))?.last_success_time), true);
});

test("a process that ends aborts its run, waits for it, and another goes on at once", async () => {
  const clock = createFakeClock();
  const { runs, it, letGo } = lasting();
  const first = startJobs(db, clock, [it]);
  await comes(clock, () => runs.length, 1);
  await first[Symbol.asyncDispose]();
  expect(runs[0]?.aborted).toBe(true);
  const left = await rowOf(it);
  expect(left).toMatchObject({ run_id: null, last_success_time: null, failures: 0 });
  expect(left?.due_time.getTime()).toBeLessThanOrEqual(clock.now());
  expect(first.log).toEqual([]);
  startJobs(db, clock, [it]);
  await comes(clock, () => runs.length, 2);
  letGo();
});

test("a process that is killed in a run delays its job by a minute", async () => {
  const clock = createFakeClock();
  let runs = 0;
  const killed = job(async () => void runs++);
  const claim = "insert into jobs (name, due_time, run_id, start_time) values ($1, $2, gen_random_uuid(), $3)";
  await db.pool.query(claim, [killed.name, new Date(clock.now() + MINUTE), new Date(clock.now())]);
  startJobs(db, clock, [killed]);
  expect(await after(clock, 50 * SECOND, () => runs)).toBe(0);
  await comes(clock, () => runs, 1);
});

test("a run whose job another process has taken over is aborted, and what it says of its end does not count", async () => {
  const clock = createFakeClock();
  const { runs, it } = lasting();
  startJobs(db, clock, [it]);
  await comes(clock, () => runs.length, 1);
  const other = randomUUID();
  const dueTime = new Date(clock.now() + 600 * MINUTE);
  await db.pool.query("update jobs set run_id = $2, due_time = $3 where name = $1", [it.name, other, dueTime]);
  await comes(clock, () => runs[0]?.aborted, true);
  expect(await after(clock, 5 * MINUTE, () => runs.length)).toBe(1);
  expect(await rowOf(it)).toMatchObject({ run_id: other, due_time: dueTime, failures: 0 });
});

/** Takes the database away from everyone, or gives it back. */
async function letConnect(allowed: boolean): Promise<void> {
  const administrator = new pg.Client(connectionOptions(inject("server")));
  await administrator.connect();
  await administrator.query(`alter database ${db.address.database} allow_connections ${allowed}`);
  if (!allowed)
    await administrator.query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", [
      db.address.database,
    ]);
  await administrator.end();
}

test("while the database is away nothing runs, and when it is back all goes on, also a run that it was taken from", async () => {
  const clock = createFakeClock();
  const { runs, it } = lasting();
  const quick = job(async () => void quickRuns++, MINUTE);
  let quickRuns = 0;
  startJobs(db, clock, [it, quick]);
  await comes(clock, () => [runs.length, quickRuns], [1, 1]);
  db.pool.on("error", () => {});
  await letConnect(false);
  await comes(clock, () => runs[0]?.aborted, true);
  const before = [runs.length, quickRuns];
  for (let i = 0; i < 30; i++) await clock.advance(10 * SECOND);
  expect([runs.length, quickRuns]).toEqual(before);
  await letConnect(true);
  await comes(clock, () => runs.length > 1 && quickRuns > (before[1] ?? 0), true);
});
