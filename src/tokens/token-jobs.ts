import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { query } from "../db/statement.ts";
import { expiredRowsJob } from "../jobs/expired-rows.ts";
import type { Job } from "../jobs/job.ts";
import { goneBefore } from "./key-life.ts";

const HOUR_MS = 3_600_000;

const REMOVE_GONE_KEYS = {
  name: "remove_gone_keys",
  text: "delete from signing_keys where retire_time <= $1 and last_expire_time <= $1",
};

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
  // They are neither published nor accepted any more, so this is for order alone. Every project has few keys.
  {
    name: "gone-signing-keys",
    everyMs: HOUR_MS,
    async run(signal) {
      await query(ports.db.pool, REMOVE_GONE_KEYS, [goneBefore(ports.clock.now())], signal);
    },
  },
];
