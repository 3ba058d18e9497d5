import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { expiredRowsJob } from "../jobs/expired-rows.ts";
import type { Job } from "../jobs/job.ts";

const HOUR_MS = 3_600_000;

/** What sessions have done from time to time. */
export const sessionJobs = (ports: { readonly db: Database; readonly clock: Clock }): Job[] => [
  // An hour later even a server whose clock is wrong takes none of its tokens.
  expiredRowsJob(ports, {
    name: "expired-sessions",
    everyMs: HOUR_MS,
    table: "sessions",
    column: "forget_time",
    graceMs: HOUR_MS,
  }),
];
