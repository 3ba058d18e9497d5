import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { expiredRowsJob } from "../jobs/expired-rows.ts";
import type { Job } from "../jobs/job.ts";

const HOUR_MS = 3_600_000;

/** What revocations have done from time to time. */
export const revocationJobs = (ports: { readonly db: Database; readonly clock: Clock }): Job[] => [
  // From then on all that one names has ended by itself, and nobody has to be told.
  expiredRowsJob(ports, {
    name: "forgotten-revocations",
    everyMs: HOUR_MS,
    table: "revocations",
    column: "forget_after_time",
    graceMs: 24 * HOUR_MS,
  }),
];
