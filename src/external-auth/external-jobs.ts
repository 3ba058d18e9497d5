import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { expiredRowsJob } from "../jobs/expired-rows.ts";
import type { Job } from "../jobs/job.ts";

const HOUR_MS = 3_600_000;

/** What the proofs of others have done from time to time. */
export const externalJobs = (ports: { readonly db: Database; readonly clock: Clock }): Job[] => [
  // An hour later even a server whose clock is wrong takes none of those JWTs.
  expiredRowsJob(ports, {
    name: "expired-external-jwts",
    everyMs: HOUR_MS,
    table: "external_jwts",
    column: "expire_time",
    graceMs: HOUR_MS,
  }),
  expiredRowsJob(ports, {
    name: "ended-external-keys",
    everyMs: HOUR_MS,
    table: "external_keys",
    column: "end_time",
    graceMs: HOUR_MS,
  }),
];
