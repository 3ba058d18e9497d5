import { Command } from "commander";
import { readConfig } from "../config.ts";
import { startEmbeddedPostgres } from "../db/embedded-postgres.ts";
import { migrate } from "../db/migrate.ts";
import { openDatabase } from "../db/orm.ts";
import { createLogger } from "../logger.ts";
import type { Host } from "./host.ts";
import { printValue } from "./print.ts";

/** `muster migrate`: brings the schema of `DATABASE_URL`, or of the data folder's database, up to date; needs no secret. */
export function migrateCommand(host: Host): Command {
  return new Command("migrate")
    .description("Bring the database's schema up to date, as serve does at its start")
    .option("--json", "print the migrations that were run as JSON")
    .action((options: { json?: true }) => runMigrations(host, options.json ?? false));
}

async function runMigrations(host: Host, json: boolean): Promise<void> {
  const config = readConfig(host.env, { secrets: false });
  await using resources = new AsyncDisposableStack();
  const address = config.database ?? resources.use(await startEmbeddedPostgres({ folder: config.dataDir })).address;
  const options = { poolSize: 2, statementTimeoutMs: config.dbStatementTimeoutMs };
  const db = resources.use(await openDatabase(address, [], options, createLogger("error", host.stderr)));
  const migrations = await migrate(db);
  const lines = migrations.length === 0 ? ["The schema is up to date"] : migrations.map((name) => `Ran ${name}`);
  printValue(host, json ? { migrations } : lines.join("\n"));
}
