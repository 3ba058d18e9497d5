import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { rehearse } from "../../src/db/rehearse.ts";
import { query } from "../../src/db/statement.ts";
import { testDatabase } from "../support/database.ts";

const db = await testDatabase();
await db.pool.query("create table things (id int primary key)");

const add = (id: number) => ({ name: "test_add", text: "insert into things values ($1)", values: [id] });
const ADD = { name: add(0).name, text: add(0).text };
const IDS = { name: "test_ids", text: "select id from things order by id" };
const ids = async (pool = db.pool) => (await query<{ id: number }>(pool, IDS, [])).map(({ id }) => id);

test("each statement sees what those before it have done, and in the end nothing is there", async () => {
  const seen = await rehearse(db.pool, async (pool) => {
    await query(pool, ADD, [1]);
    await query(pool, ADD, [2]);
    return [await ids(pool), await ids()];
  });
  expect(seen).toEqual([[1, 2], []]);
  expect(await ids()).toEqual([]);
});

test("a statement that fails fails as it would otherwise, and takes nothing with it", async () => {
  const seen = await rehearse(db.pool, async (pool) => {
    await query(pool, ADD, [1]);
    await expect(query(pool, ADD, [1])).rejects.toMatchObject({ code: "23505" });
    await query(pool, ADD, [2]);
    return ids(pool);
  });
  expect(seen).toEqual([1, 2]);
  expect(await ids()).toEqual([]);
});

test("work that fails leaves nothing, and its connection is as good as before", async () => {
  for (let i = 0; i < 20; i++) {
    const failing = rehearse(db.pool, async (pool) => {
      await query(pool, ADD, [1]);
      throw new Error("broken");
    });
    await expect(failing).rejects.toThrow("broken");
  }
  expect(await ids()).toEqual([]);
});

test("a caller that leaves ends the statement that runs, and nothing is left of the work", async () => {
  const leaving = new AbortController();
  const left = new Error("left");
  const work = rehearse(
    db.pool,
    async (pool) => {
      await query(pool, ADD, [1]);
      void sleep(50).then(() => leaving.abort(left));
      await query(pool, { name: "test_sleep", text: "select pg_sleep(30)" }, [], leaving.signal);
    },
    leaving.signal,
  );
  await expect(work).rejects.toBe(left);
  expect(await ids()).toEqual([]);
  await expect(rehearse(db.pool, ids, leaving.signal)).rejects.toBe(left);
});
