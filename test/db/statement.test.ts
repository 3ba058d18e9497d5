import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterAll, expect, test } from "vitest";
import { connectionOptions } from "../../src/db/orm.ts";
import { query } from "../../src/db/statement.ts";
import { read, transaction } from "../../src/db/transaction.ts";
import type { MusterError } from "../../src/errors.ts";
import { testDatabase } from "../support/database.ts";

const db = await testDatabase();
const SLEEP = { name: "test_sleep", text: "select pg_sleep(30)" };
const OTHERS =
  "datname = current_database() and query like '%pg_sleep(30)%' and state = 'active' and pid <> pg_backend_pid()";

/** Looks on from outside: the pool may be in use to the last connection. */
const onlooker = new pg.Client(connectionOptions(db.address));
await onlooker.connect();
afterAll(() => onlooker.end());

async function running(): Promise<number> {
  const { rows } = await onlooker.query<{ n: number }>(
    `select count(*)::int as n from pg_stat_activity where ${OTHERS}`,
  );
  return rows[0]?.n ?? -1;
}

async function becomes(count: number): Promise<void> {
  while ((await running()) !== count) await sleep(5);
}

test("a caller that leaves ends its hot statement in the database, and learns its own reason", async () => {
  const caller = new AbortController();
  const call = query(db.pool, SLEEP, [], caller.signal);
  await becomes(1);
  const reason = new Error("left");
  caller.abort(reason);
  await expect(call).rejects.toBe(reason);
  await becomes(0);
});

test("a caller that leaves ends its transaction's statement in the database", async () => {
  const caller = new AbortController();
  const call = transaction(db, { signal: caller.signal }, (em) => em.execute("select pg_sleep(30)"));
  await becomes(1);
  const reason = new Error("left");
  caller.abort(reason);
  await expect(call).rejects.toBe(reason);
  await becomes(0);
});

test("a caller that left before asks nothing", async () => {
  const reason = new Error("left");
  await expect(query(db.pool, SLEEP, [], AbortSignal.abort(reason))).rejects.toBe(reason);
  await expect(read(db, { signal: AbortSignal.abort(reason) }, (em) => em.execute("select 1"))).rejects.toBe(reason);
});

test("fifty callers that leave at once leave nothing running and no connection broken", async () => {
  const callers = Array.from({ length: 50 }, () => new AbortController());
  const calls = callers.map(({ signal }) => query(db.pool, SLEEP, [], signal));
  await becomes(10);
  for (const caller of callers) caller.abort(new Error("left"));
  const outcomes = await Promise.allSettled(calls);
  expect(outcomes.every(({ status }) => status === "rejected")).toBe(true);
  await becomes(0);
  expect(await query(db.pool, { name: "test_one", text: "select 1 as one" }, [])).toEqual([{ one: 1 }]);
});

test("a connection that the server ends is STORAGE_UNAVAILABLE, and the next call works", async () => {
  const call = query(db.pool, SLEEP, []);
  const refused = call.catch((error: unknown) => error);
  await becomes(1);
  await onlooker.query(`select pg_terminate_backend(pid) from pg_stat_activity where ${OTHERS}`);
  expect(await refused).toMatchObject({ reason: "STORAGE_UNAVAILABLE" } satisfies Partial<MusterError>);
  expect(await query(db.pool, { name: "test_one", text: "select 1 as one" }, [])).toEqual([{ one: 1 }]);
});

test("two transactions that lock each other out are both done in the end", async () => {
  await db.pool.query("create table counters (id int primary key, n int not null)");
  await db.pool.query("insert into counters values (1, 0), (2, 0)");
  const both = (first: number, second: number) =>
    transaction(db, {}, async (em) => {
      await em.execute("update counters set n = n + 1 where id = ?", [first]);
      await sleep(50);
      await em.execute("update counters set n = n + 1 where id = ?", [second]);
    });
  await Promise.all([both(1, 2), both(2, 1)]);
  const { rows } = await db.pool.query("select n from counters order by id");
  expect(rows).toEqual([{ n: 2 }, { n: 2 }]);
});
