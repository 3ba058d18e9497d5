import { expect, test } from "vitest";
import { type Database, openDatabase } from "../../src/db/orm.ts";
import { query } from "../../src/db/statement.ts";
import { transaction } from "../../src/db/transaction.ts";
import { createLogger } from "../../src/logger.ts";
import { testDatabaseAddress } from "../support/database.ts";
import { type PostgresProxy, startPostgresProxy } from "../support/postgres-proxy.ts";

const address = await testDatabaseAddress();
const ONE = { text: "select 1 as one" };
const AWHILE = { text: "select pg_sleep(0.1)" };

/** With so many connections to it as have been in use at a time. */
async function openBehind(proxy: PostgresProxy, connections: number) {
  const options = { poolSize: 5, statementTimeoutMs: 200 };
  const db = await openDatabase(proxy.address, [], options, createLogger("silent"));
  await Promise.all(Array.from({ length: connections }, () => query(db.pool, AWHILE, [])));
  expect(db.pool.idleCount).toBe(connections);
  return db;
}

test("where a statement gets no answer in its time, it fails, and no other connection is trusted that leads to the same place", async () => {
  await using proxy = await startPostgresProxy(address);
  await using db = await openBehind(proxy, 5);
  expect(proxy.silence()).toBe(5);
  await expect(query(db.pool, { ...ONE, withinMs: 100 }, [])).rejects.toMatchObject({ reason: "STORAGE_UNAVAILABLE" });
  // Had one of the others been left, this would wait for it.
  expect(await query(db.pool, { ...ONE, withinMs: 5_000 }, [])).toEqual([{ one: 1 }]);
  expect(db.pool.totalCount).toBe(1);
});

/** A transaction that goes on when it is told to. */
function begin(db: Database, until: Promise<void>): Promise<string> {
  const work = transaction(db, {}, async (em) => {
    await em.execute("select 1");
    await until;
    await em.execute("select 1");
  });
  return work.then(
    () => "done",
    (error: { reason?: string }) => String(error.reason),
  );
}

const PHASES = ["before they begin", "while they are under way"] as const;

test.each(PHASES)("transactions that lose their connection %s hold no place in the pool", async (phase) => {
  await using proxy = await startPostgresProxy(address);
  await using db = await openBehind(proxy, 5);
  const { promise: cut, resolve } = Promise.withResolvers<void>();
  if (phase === "before they begin") proxy.silence();
  const outcomes = Array.from({ length: 5 }, () => begin(db, cut));
  await expect.poll(() => db.pool.idleCount).toBe(0);
  if (phase === "while they are under way") await new Promise((done) => setTimeout(done, 100));
  proxy.cut();
  resolve();
  expect(new Set(await Promise.all(outcomes))).toEqual(new Set(["STORAGE_UNAVAILABLE"]));
  expect(db.pool.totalCount).toBe(0);
  expect(await Promise.all(Array.from({ length: 5 }, () => begin(db, Promise.resolve())))).toEqual(
    Array(5).fill("done"),
  );
});

test("a transaction that gets no answer fails when its time is over", async () => {
  await using proxy = await startPostgresProxy(address);
  await using db = await openBehind(proxy, 1);
  proxy.silence();
  expect(await begin(db, Promise.resolve())).toBe("STORAGE_UNAVAILABLE");
  expect(await query(db.pool, ONE, [])).toEqual([{ one: 1 }]);
});

test("a statement that takes its time is not taken for silence, and neither is one nobody makes", async () => {
  await using proxy = await startPostgresProxy(address);
  await using db = await openBehind(proxy, 1);
  expect(await query(db.pool, { ...AWHILE, withinMs: 5_000 }, [])).toHaveLength(1);
  await query(db.pool, { ...ONE, withinMs: 100 }, []);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(db.pool.idleCount).toBe(1);
});
