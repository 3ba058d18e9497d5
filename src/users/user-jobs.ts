import { serverAct } from "../db/act.ts";
import { query } from "../db/statement.ts";
import { expiredRowsJob } from "../jobs/expired-rows.ts";
import type { Job } from "../jobs/job.ts";
import { deleteValues } from "./delete-attribute-definition.ts";
import { type PurgePorts, purgeGuests } from "./purge-guests.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** What the roll has done from time to time. */
export const userJobs = (ports: PurgePorts): Job[] => [
  { name: "guests", everyMs: MINUTE_MS, run: (signal) => purgeGuests(ports, signal) },
  // A code bounds how many are sent for an hour after the first of those it counts: expired for an hour, it bounds nothing.
  expiredRowsJob(ports, {
    name: "locator-codes",
    everyMs: HOUR_MS,
    table: "locator_codes",
    column: "expire_time",
    graceMs: HOUR_MS,
  }),
  { name: "attribute-deletions", everyMs: 10 * MINUTE_MS, run: (signal) => finishDeletions(ports, signal) },
];

/** Goes on where the deletion of an attribute definition broke off. */
async function finishDeletions({ db, clock, announceEvents }: PurgePorts, signal: AbortSignal): Promise<void> {
  const text = "select project_id, key from attribute_definitions where delete_time is not null";
  const begun = await query<{ project_id: string; key: string }>(db.pool, { text }, [], signal);
  const act = serverAct("job/attribute-deletions", announceEvents);
  for (const { project_id: projectId, key } of begun)
    await deleteValues({ db, clock }, { projectId, signal, act }, key);
}
