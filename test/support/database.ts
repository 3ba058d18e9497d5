import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterAll, inject } from "vitest";
import { connectionOptions, type Database, type DatabaseAddress, openDatabase } from "../../src/db/orm.ts";
import { ENTITIES } from "../../src/entities.ts";
import { createLogger } from "../../src/logger.ts";

/** A fresh, migrated database for this test file, open; closed and dropped after the file. */
export async function testDatabase(): Promise<Database> {
  const address = await testDatabaseAddress();
  const db = await openDatabase(
    address,
    ENTITIES,
    { poolSize: 10, statementTimeoutMs: 30_000 },
    createLogger("silent"),
  );
  afterAll(() => db[Symbol.asyncDispose]());
  return db;
}

/** The address of a fresh, migrated database, dropped after the file, for tests that open it themselves. */
export async function testDatabaseAddress(): Promise<DatabaseAddress> {
  const database = `${inject("template")}_${randomBytes(6).toString("hex")}`;
  await administer(`create database ${database} template ${inject("template")} strategy file_copy`);
  // Hooks run last first: by then whoever opened the database has closed it.
  afterAll(() => administer(`drop database ${database} with (force)`));
  return { ...inject("server"), database };
}

/** The address of an empty database, dropped after the file, for tests of the migrations themselves. */
export async function emptyDatabaseAddress(): Promise<DatabaseAddress> {
  const database = `${inject("template")}_${randomBytes(6).toString("hex")}`;
  await administer(`create database ${database}`);
  afterAll(() => administer(`drop database ${database} with (force)`));
  return { ...inject("server"), database };
}

async function administer(sql: string): Promise<void> {
  const client = new pg.Client(connectionOptions(inject("server")));
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
