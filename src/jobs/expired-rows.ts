import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { query } from "../db/statement.ts";
import type { Job } from "./job.ts";

/** Rows that are of no use once a time has passed. */
export interface ExpiredRows {
  /** The name of the job. */
  readonly name: string;
  readonly everyMs: number;
  readonly table: string;
  /** The column with the time, by which an index finds the rows. */
  readonly column: string;
  /** How long after that time they go, in milliseconds. */
  readonly graceMs: number;
}

/** Rows that are deleted in one transaction. */
const BATCH = 1_000;

/** The job that deletes such rows. Those that somebody is about to change are left for the next run. */
export function expiredRowsJob(
  { db, clock }: { readonly db: Database; readonly clock: Clock },
  { name, everyMs, table, column, graceMs }: ExpiredRows,
): Job {
  const statement = {
    name: `expired_${table}`,
    text: `
      with gone as (
        delete from ${table} where ctid = any(array(
          select ctid from ${table} where ${column} <= $1 order by ${column} limit ${BATCH} for update skip locked))
        returning 1
      )
      select count(*)::int as count from gone`,
  };
  return {
    name,
    everyMs,
    async run(signal) {
      for (let count = BATCH; count === BATCH; ) {
        const expired = new Date(clock.now() - graceMs);
        const [gone] = await query<{ count: number }>(db.pool, statement, [expired], signal);
        count = gone?.count ?? 0;
      }
    },
  };
}
