import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { expiredRowsJob } from "../jobs/expired-rows.ts";
import type { Job } from "../jobs/job.ts";

const HOUR_MS = 3_600_000;
/** For how long deliveries are listed that are over, in milliseconds. */
const KEPT_FOR_MS = 7 * 24 * HOUR_MS;

/** What deliveries have done from time to time. */
export const deliveryJobs = (ports: { readonly db: Database; readonly clock: Clock }): Job[] => [
  expiredRowsJob(ports, {
    name: "past-deliveries",
    everyMs: HOUR_MS,
    table: "deliveries",
    column: "complete_time",
    graceMs: KEPT_FOR_MS,
  }),
];
