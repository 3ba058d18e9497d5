import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { expiredRowsJob } from "../jobs/expired-rows.ts";
import type { Job } from "../jobs/job.ts";

const HOUR_MS = 3_600_000;

/** What tokens have done from time to time. */
export const tokenJobs = (ports: { readonly db: Database; readonly clock: Clock }): Job[] => [
  // A token that has expired is refused before anyone asks for its row. A day later that holds for servers whose clock is wrong, too:
  // without its row a token that was revoked would pass for a stateless one.
  expiredRowsJob(ports, {
    name: "expired-tokens",
    everyMs: HOUR_MS,
    table: "tokens",
    column: "expire_time",
    graceMs: 24 * HOUR_MS,
  }),
];
