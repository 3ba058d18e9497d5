import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { LIST_FIELDS } from "../../src/users/list-fields.ts";
import { testDatabase } from "../support/database.ts";

const db = await testDatabase();
const guide = readFileSync("docs/retrieval.md", "utf8");
const told = guide
  .split("\n")
  .filter((line) => line.startsWith("| `"))
  .map((line) => line.split("|").map((cell) => cell.trim().replaceAll("`", "")));

test("the guide tells of every field its operators, and whether it orders", () => {
  const there = LIST_FIELDS.map(({ name, operators, order }) => [name, operators.join(", "), order ? "yes" : "no"]);
  expect(told.map(([, name, operators, order]) => [name, operators, order])).toEqual(there);
});

test("the indexes that the guide names are there, on what each field is compared by", async () => {
  const { rows } = await db.pool.query<{ indexname: string; indexdef: string }>(
    "select indexname, indexdef from pg_indexes where tablename = 'users'",
  );
  for (const [, name, , , index] of told) {
    const definition = rows.find(({ indexname }) => indexname === index?.replace("the primary key", "users_pkey"));
    expect(definition?.indexdef).toContain(LIST_FIELDS.find((field) => field.name === name)?.column);
  }
});
