import pg from "pg";
import { expect, onTestFinished, test, vi } from "vitest";
import { lookUp } from "../../src/db/look-up.ts";
import { query } from "../../src/db/statement.ts";
import { testDatabase } from "../support/database.ts";

const db = await testDatabase();
await db.pool.query("create table notes (id int primary key, text text, at timestamptz)");

/** Runs a statement on one connection, as often as there are bindings. */
async function onOneConnection(statement: { name: string; text: string }, bindings: unknown[][]) {
  const outcomes: unknown[] = [];
  for (const values of bindings)
    outcomes.push(await query(db.pool, statement, values).catch((error: unknown) => ({ code: (error as Coded).code })));
  expect(db.pool.totalCount).toBe(1);
  return outcomes;
}

interface Coded {
  readonly code?: string;
}

test("values and columns of all kinds come back as they went", async () => {
  const ALL = {
    name: "test_all",
    text: `select $1::text as text, $2::int8 as number, $3::bool as yes, $4::timestamptz as time, $5::date as day, $6::bytea as bytes,
      $7::text[] as list, $8::jsonb as object, $9::float8 as nothing, $10::timestamptz[] as times`,
  };
  const time = new Date("2026-02-28T23:59:59.123Z");
  const all = {
    ...{ text: 'ü "quoted" \\ ', number: 2 ** 52, yes: true, time, day: "2026-02-28", bytes: Buffer.from([0, 255]) },
    ...{ list: ["a,b", '"', "\\"], object: { a: [1, null, "ü"] }, nothing: null, times: [time] },
  };
  const [first, second] = await onOneConnection(ALL, [Object.values(all), Object.values(all)]);
  expect(first).toEqual([all]);
  expect(second).toEqual([all]);
  expect(await lookUp(db, ALL, Object.values(all))).toEqual([all]);
  expect(await lookUp(db, ALL, Array(10).fill(undefined))).toEqual([
    Object.fromEntries(Object.keys(all).map((name) => [name, null])),
  ]);
});

test("a connection is asked once for what columns a statement has", async () => {
  const describe = vi.spyOn(pg.Connection.prototype, "describe");
  onTestFinished(() => describe.mockRestore());
  const FIND = { name: "test_find_note", text: "select id, text from notes where id >= $1 order by id" };
  const ADD = { name: "test_add_note", text: "insert into notes values ($1, $2)" };
  expect(await onOneConnection(FIND, [[0], [0]])).toEqual([[], []]);
  const notes = [1, 2, 3].map((id) => [id, `note ${id}`]);
  expect(await onOneConnection(ADD, notes)).toEqual([[], [], []]);
  expect(await onOneConnection(FIND, [[2], [3], [4]])).toEqual([
    [
      { id: 2, text: "note 2" },
      { id: 3, text: "note 3" },
    ],
    [{ id: 3, text: "note 3" }],
    [],
  ]);
  expect(describe).toHaveBeenCalledTimes(2);
});

test("one that fails, before or after its columns are known, does not stand in the way of the next", async () => {
  const DIVIDE = { name: "test_divide", text: "select 6 / $1::int as six, $2::text as text" };
  const by = [0, 2, 0, 3].map((n) => [n, "x"]);
  expect(await onOneConnection(DIVIDE, by)).toEqual([
    { code: "22012" },
    [{ six: 3, text: "x" }],
    { code: "22012" },
    [{ six: 2, text: "x" }],
  ]);
  const WRONG = { name: "test_wrong", text: "select nothing from nowhere" };
  expect(await onOneConnection(WRONG, [[], []])).toEqual([{ code: "42P01" }, { code: "42P01" }]);
});

test("values that cannot be sent fail by themselves, and the connection goes on", async () => {
  const ECHO = { name: "test_echo_object", text: "select $1::jsonb as object" };
  const circular: Record<string, unknown> = {};
  circular["itself"] = circular;
  await expect(query(db.pool, ECHO, [circular])).rejects.toThrow(TypeError);
  await expect(lookUp(db, ECHO, [circular])).rejects.toThrow(TypeError);
  expect(await query(db.pool, ECHO, [{ a: 1 }])).toEqual([{ object: { a: 1 } }]);
  expect(await lookUp(db, ECHO, [{ a: 1 }])).toEqual([{ object: { a: 1 } }]);
});

test("two statements of one name are refused", async () => {
  const name = "test_twice";
  expect(await query(db.pool, { name, text: "select 1 as one" }, [])).toEqual([{ one: 1 }]);
  await expect(query(db.pool, { name, text: "select 2 as one" }, [])).rejects.toThrow("names two statements");
});

test("a statement whose columns change while it is prepared is refused by the database, never misread", async () => {
  const STAR = { name: "test_star", text: "select * from things where id = $1" };
  await db.pool.query("create table things (id int primary key, a text, b text)");
  await db.pool.query("insert into things values (1, 'a', 'b')");
  expect(await query(db.pool, STAR, [1])).toEqual([{ id: 1, a: "a", b: "b" }]);
  await db.pool.query("alter table things drop column a");
  await expect(query(db.pool, STAR, [1])).rejects.toMatchObject({ code: "0A000" });
});

test("what fails says in its trace who asked", async () => {
  const DIVIDE = { name: "test_divide_by", text: "select 6 / $1::int as six" };
  const failure = await query(db.pool, DIVIDE, [0]).catch((error: unknown) => error);
  expect((failure as Error).stack).toContain("statement.ts");
});
