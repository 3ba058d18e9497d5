import { expect, test } from "vitest";
import { SEALED_COLUMNS } from "../../src/sealed-columns.ts";
import { testDatabase } from "../support/database.ts";

const db = await testDatabase();

test("every column of sealed secrets is one that a rotation of the encryption key reaches", async () => {
  const { rows } = await db.pool.query<{ name: string }>(`
    select table_name || '.' || column_name as name from information_schema.columns
    where table_schema = 'public' and data_type = 'bytea' and column_name like '%sealed%'`);
  const listed = SEALED_COLUMNS.map(({ table, column }) => `${table}.${column}`);
  expect(rows.map(({ name }) => name).toSorted()).toEqual(listed.toSorted());
});

test.each(SEALED_COLUMNS)(
  "what is sealed in $table is found by its key through an index",
  async ({ table, column, key }) => {
    const { rows } = await db.pool.query("select indexdef from pg_indexes where indexname = $1", [`${table}_sealing`]);
    expect(rows[0]?.indexdef).toContain(`(SUBSTRING(${column} FROM 1 FOR 5), ${key.join(", ")})`);
    const primary = await db.pool.query(
      `select a.attname as name from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
      where i.indrelid = $1::regclass and i.indisprimary order by array_position(i.indkey, a.attnum)`,
      [table],
    );
    expect(primary.rows.map(({ name }) => name)).toEqual(key);
  },
);
