import { expect, test } from "vitest";
import { migrate } from "../../src/db/migrate.ts";
import { openDatabase } from "../../src/db/orm.ts";
import { ENTITIES } from "../../src/entities.ts";
import { createLogger } from "../../src/logger.ts";
import { emptyDatabaseAddress, testDatabase } from "../support/database.ts";

const db = await testDatabase();
const empty = await emptyDatabaseAddress();

test("a test's database is migrated and of this file alone", async () => {
  const { rows } = await db.pool.query("select name from migrations");
  expect(rows.length).toBeGreaterThan(0);
  expect(await migrate(db)).toEqual([]);
});

test("processes that start at once on an empty database run each migration once", async () => {
  const options = { poolSize: 2, statementTimeoutMs: 30_000 };
  const dbs = await Promise.all(
    Array.from({ length: 4 }, () => openDatabase(empty, ENTITIES, options, createLogger("silent"))),
  );
  try {
    const done = await Promise.all(dbs.map(migrate));
    const { rows } = await db.pool.query("select name from migrations");
    const names: string[] = rows.map((row) => row.name);
    expect(done.flat()).toHaveLength(names.length);
    expect(new Set(done.flat())).toEqual(new Set(names));
  } finally {
    await Promise.all(dbs.map((open) => open[Symbol.asyncDispose]()));
  }
});
