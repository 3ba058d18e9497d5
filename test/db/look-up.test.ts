import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { lookUp, lookUpAll } from "../../src/db/look-up.ts";
import { LOOK_UPS_NAME } from "../../src/db/look-ups.ts";
import { type Database, openDatabase } from "../../src/db/orm.ts";
import { createLogger } from "../../src/logger.ts";
import { testDatabaseAddress } from "../support/database.ts";
import { startPostgresProxy } from "../support/postgres-proxy.ts";

const address = await testDatabaseAddress();
const PATIENCE = { timeout: 15_000, interval: 5 };
const PID = { name: "test_pid", text: "select pg_backend_pid() as pid" };
const ECHO = { name: "test_echo", text: "select $1::int8 as number, $2::date as day" };
const SLEEP = { name: "test_sleep", text: "select pg_sleep($1)" };
const BAD = { name: "test_bad", text: "select 1 / $1::int as one" };

const open = (to = address) =>
  openDatabase(to, [], { poolSize: 3, statementTimeoutMs: 30_000 }, createLogger("silent"));

/** The process of the server that answers look-ups. */
const pidOf = async (db: Database) => (await lookUp<{ pid: number }>(db, PID, []))[0]?.pid;

/** Waits until look-ups have a connection of their own: until then they go by the pool. */
async function connected(db: Database): Promise<number> {
  const isShared = async () => {
    const [one, two] = await Promise.all([pidOf(db), pidOf(db)]);
    return one === two && db.pool.totalCount > 0 ? one : undefined;
  };
  await expect.poll(isShared, PATIENCE).toBeDefined();
  return (await pidOf(db)) ?? 0;
}

test("all look-ups share one connection beside the pool, and each has its own answer", async () => {
  await using db = await open();
  const pid = await connected(db);
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, n) => lookUp<{ number: number; day: string }>(db, ECHO, [n, "2026-01-31"])),
  );
  expect(answers).toEqual(answers.map((_, n) => [{ number: n, day: "2026-01-31" }]));
  expect(new Set(await Promise.all(Array.from({ length: 20 }, () => pidOf(db))))).toEqual(new Set([pid]));
});

test("one that fails fails alone, the first of its name too", async () => {
  await using db = await open();
  await connected(db);
  const outcomes = await Promise.allSettled([0, 1, 0, 1].map((n) => lookUp(db, BAD, [n])));
  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "rejected", "fulfilled"]);
  const wrong = { name: "test_wrong", text: "select nothing from nowhere" };
  const both = await Promise.allSettled([lookUp(db, wrong, []), lookUp(db, ECHO, [1, "2026-01-31"])]);
  expect(both.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
});

test("it sees what was committed before, by whatever connection", async () => {
  await using db = await open();
  await connected(db);
  await db.pool.query("create table things (id int primary key)");
  const FIND = { name: "test_find", text: "select id from things where id = $1" };
  for (let id = 0; id < 50; id++) {
    await db.pool.query("insert into things values ($1)", [id]);
    expect(await lookUp(db, FIND, [id])).toEqual([{ id }]);
  }
});

test("a caller that leaves leaves at once, and takes nobody with it", async () => {
  await using db = await open();
  const pid = await connected(db);
  const caller = new AbortController();
  const reason = new Error("left");
  const left = lookUp(db, SLEEP, [0.3], caller.signal);
  const behind = lookUp(db, ECHO, [7, "2026-01-31"]);
  setTimeout(() => caller.abort(reason), 20);
  await expect(left).rejects.toBe(reason);
  expect(await behind).toEqual([{ number: 7, day: "2026-01-31" }]);
  expect(await pidOf(db)).toBe(pid);
  await expect(lookUp(db, ECHO, [1, "2026-01-31"], AbortSignal.abort(reason))).rejects.toBe(reason);
});

test("behind one that hangs the others go by the pool, and what does not end is ended", async () => {
  await using db = await open();
  const pid = await connected(db);
  const hanging = lookUp(db, SLEEP, [60]).catch((error: unknown) => error);
  await sleep(200);
  expect(await pidOf(db)).not.toBe(pid);
  expect(await hanging).toMatchObject({ reason: "STORAGE_UNAVAILABLE" });
  // The connection is the same: the server answered that it took too long.
  expect(await connected(db)).toBe(pid);
}, 20_000);

test("many keys go by the pool", async () => {
  await using db = await open();
  const pid = await connected(db);
  const [few] = await lookUpAll<{ pid: number }>(db, PID, { keys: 100, values: [] });
  const [many] = await lookUpAll<{ pid: number }>(db, PID, { keys: 101, values: [] });
  expect(few?.pid).toBe(pid);
  expect(many?.pid).not.toBe(pid);
});

test("when the connection is lost what was asked fails, what comes next goes by the pool, and then by a new one", async () => {
  await using proxy = await startPostgresProxy(address);
  await using db = await open(proxy.address);
  const pid = await connected(db);
  const asked = lookUp(db, SLEEP, [60]).catch((error: unknown) => error);
  await sleep(50);
  proxy.cut();
  expect(await asked).toMatchObject({ reason: "STORAGE_UNAVAILABLE" });
  expect(await pidOf(db)).toBeGreaterThan(0);
  expect(await connected(db)).not.toBe(pid);
});

test("a connection that is dead without a word holds up only what was sent before anybody could know", async () => {
  await using proxy = await startPostgresProxy(address);
  await using db = await open(proxy.address);
  await connected(db);
  proxy.silence((name) => name === LOOK_UPS_NAME);
  const asked = Array.from({ length: 5 }, () => pidOf(db).catch((error: unknown) => error));
  await sleep(200);
  expect(await pidOf(db)).toBeGreaterThan(0);
  for (const outcome of await Promise.all(asked)) expect(outcome).toMatchObject({ reason: "STORAGE_UNAVAILABLE" });
  expect(await connected(db)).toBeGreaterThan(0);
}, 20_000);

test("while the server is away look-ups are refused as all else is, and come back with it", async () => {
  await using proxy = await startPostgresProxy(address);
  await using db = await open(proxy.address);
  await connected(db);
  proxy.target = { ...address, host: "127.0.0.1", port: 1 };
  proxy.cut();
  await expect(pidOf(db)).rejects.toMatchObject({ reason: "STORAGE_UNAVAILABLE" });
  proxy.target = address;
  await expect.poll(() => pidOf(db).catch(() => 0), PATIENCE).toBeGreaterThan(0);
});
