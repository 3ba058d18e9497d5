import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { query, type Statement } from "../db/statement.ts";
import { expiredRowsJob } from "../jobs/expired-rows.ts";
import type { Job } from "../jobs/job.ts";

const HOUR_MS = 3_600_000;

interface JobPorts {
  readonly db: Database;
  readonly clock: Clock;
}

/** What sessions have done from time to time. */
export const sessionJobs = (ports: JobPorts): Job[] => [
  // An hour later even a server whose clock is wrong takes none of its tokens.
  expiredRowsJob(ports, {
    name: "expired-sessions",
    everyMs: HOUR_MS,
    table: "sessions",
    column: "forget_time",
    graceMs: HOUR_MS,
  }),
  expiredRowsJob(ports, {
    name: "expired-password-resets",
    everyMs: HOUR_MS,
    table: "password_resets",
    column: "expire_time",
    graceMs: HOUR_MS,
  }),
  { name: "expired-attempts", everyMs: HOUR_MS, run: (signal) => forgetAttempts(ports, signal) },
];

/** Rows of one transaction. */
const BATCH = 1_000;

/** $1 milliseconds since the epoch, as the limiter keeps the ends of its counters. */
const FORGET: Statement = {
  name: "attempts_forget",
  text: `delete from attempts where ctid = any(array(
    select ctid from attempts where expire <= $1 order by expire limit ${BATCH} for update skip locked)) returning 1 as gone`,
};

async function forgetAttempts({ db, clock }: JobPorts, signal: AbortSignal): Promise<void> {
  for (let count = BATCH; count === BATCH; )
    count = (await query(db.pool, FORGET, [clock.now() - HOUR_MS], signal)).length;
}
