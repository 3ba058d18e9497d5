import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import type { TestProject } from "vitest/node";
import { parseDatabaseUrl } from "../../src/db/database-url.ts";
import { startEmbeddedPostgres } from "../../src/db/embedded-postgres.ts";
import { migrate } from "../../src/db/migrate.ts";
import { connectionOptions, type DatabaseAddress, openDatabase } from "../../src/db/orm.ts";
import { ENTITIES } from "../../src/entities.ts";
import { createLogger } from "../../src/logger.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** The run's database server; `database` is one to connect to for making others. */
    server: DatabaseAddress;
    /** Name of the migrated, empty database that others are copied from. */
    template: string;
  }
}

/** One throwaway server for the run, or the one MUSTER_TEST_DATABASE_URL names, with one migrated template database. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await using resources = new AsyncDisposableStack();
  const server = await startDatabaseServer(resources);
  const template = `muster_test_${randomBytes(6).toString("hex")}`;
  await administer(server, `create database ${template}`);
  resources.defer(() => administer(server, `drop database ${template} with (force)`));
  const options = { poolSize: 2, statementTimeoutMs: 30_000 };
  const db = await openDatabase({ ...server, database: template }, ENTITIES, options, createLogger("error"));
  await migrate(db);
  await db[Symbol.asyncDispose]();
  project.provide("server", server);
  project.provide("template", template);
  const kept = resources.move();
  return () => kept.disposeAsync();
}

async function startDatabaseServer(resources: AsyncDisposableStack): Promise<DatabaseAddress> {
  const url = process.env["MUSTER_TEST_DATABASE_URL"];
  if (url) return parseDatabaseUrl(url);
  const folder = await mkdtemp(join(tmpdir(), "muster-test-"));
  resources.defer(() => rm(folder, { recursive: true, force: true }));
  return resources.use(await startEmbeddedPostgres({ folder, throwaway: true })).address;
}

async function administer(server: DatabaseAddress, sql: string): Promise<void> {
  const client = new pg.Client(connectionOptions(server));
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
