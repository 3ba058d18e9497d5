import { appendAuditSql } from "../audit/append-audit.ts";
import type { Clock } from "../clock.ts";
import { serverAct } from "../db/act.ts";
import type { Database } from "../db/orm.ts";
import { recorded } from "../db/recorded.ts";
import { query } from "../db/statement.ts";
import { expiredRowsJob } from "../jobs/expired-rows.ts";
import type { Job } from "../jobs/job.ts";
import { goneBefore } from "./key-life.ts";

const HOUR_MS = 3_600_000;

/** $1 the time before which they are gone, $2 now. */
const REMOVE_GONE_KEYS = recorded({
  name: "remove_gone_keys",
  text: `
    with removed as (
      delete from signing_keys where retire_time <= $1 and last_expire_time <= $1 returning project_id, id
    ), audit as (${appendAuditSql({
      from: "removed",
      projectId: "removed.project_id",
      target: "'signing_key/' || removed.id",
      details: `'{"removed": true}'::jsonb`,
      createTime: "$2::timestamptz",
    })})
    select 1 from removed`,
});

/** What readers of a project's history are told of is events; of a key that is removed there is none. */
const removeGoneKeys = serverAct("job/gone-signing-keys", () => {});

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
      const now = ports.clock.now();
      const values = [goneBefore(now), new Date(now), removeGoneKeys.facts];
      await query(ports.db.pool, REMOVE_GONE_KEYS, values, signal);
    },
  },
];
