import pg from "pg";
import type { Database } from "./orm.ts";
import { connectionOptions } from "./orm.ts";

/** One number for all Muster processes on a database: "muster" on a phone's keys. */
const LOCK = 687_837;

/**
 * Brings the schema up to date and names the migrations that were run. Any number of processes may call it at once:
 * an advisory lock lets one work while the others wait, and they then find nothing to do.
 */
export async function migrate(db: Database): Promise<string[]> {
  const holder = new pg.Client(connectionOptions(db.address));
  holder.on("error", () => {});
  await holder.connect();
  try {
    await holder.query("select pg_advisory_lock($1)", [LOCK]);
    const done = await db.orm.migrator.up();
    return done.map((migration) => migration.name);
  } finally {
    await holder.end();
  }
}
