import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { LIST_FIELDS, type ListField, listField } from "../../src/users/list-fields.ts";
import { testDatabase } from "../support/database.ts";

const db = await testDatabase();
const definition = { key: "<key>", contentTypes: ["text/plain"], canBeEmpty: false, filterable: true } as const;
const times = { createTime: new Date(0), updateTime: new Date(0) };
const definitions = new Map([["<key>", { ...definition, ...times, readers: [], writers: [] }]]);
const FIELDS = [...LIST_FIELDS, listField("attributes.<key>", definitions) as ListField];
const guide = readFileSync("docs/retrieval.md", "utf8");
const told = guide
  .split("\n")
  .filter((line) => line.startsWith("| `"))
  .map((line) => line.split("|").map((cell) => cell.trim().replaceAll("`", "")));

test("the guide tells of every field its operators, and whether it orders", () => {
  const there = FIELDS.map(({ name, operators, order }) => [name, operators.join(", "), order ? "yes" : "no"]);
  expect(told.map(([, name, operators, order]) => [name, operators, order])).toEqual(there);
});

test("the indexes that the guide names are there, on what each field is compared by", async () => {
  const { rows } = await db.pool.query<{ indexname: string; indexdef: string }>(
    "select indexname, indexdef from pg_indexes where tablename in ('users', 'user_attribute_index')",
  );
  for (const [, name, , , index] of told) {
    const definition = rows.find(({ indexname }) => indexname === index?.replace("the primary key", "users_pkey"));
    expect(definition?.indexdef).toContain(FIELDS.find((field) => field.name === name)?.column);
  }
});
