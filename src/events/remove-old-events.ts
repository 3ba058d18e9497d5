import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { query, type Statement } from "../db/statement.ts";
import { eventRetentionMsSql } from "../projects/projects.ts";
import type { EventCursor } from "./read-events.ts";

export interface RemovalPorts {
  readonly db: Database;
  readonly clock: Clock;
  /** The first event of a project that somebody has yet to do something with, if any: from there on events are kept for twice as long. */
  heldFrom?(projectId: string, signal: AbortSignal): Promise<EventCursor | undefined>;
}

/** Events that are removed in one transaction. */
const BATCH = 1_000;

/** The projects that have events, each found by the one before, and for how long they keep them. */
const PROJECTS: Statement = {
  name: "events_projects",
  text: `
    with recursive found as (
      (select project_id from events order by project_id limit 1)
      union all
      select (select e.project_id from events e where e.project_id > found.project_id order by e.project_id limit 1)
      from found where found.project_id is not null
    )
    select p.id, ${eventRetentionMsSql("p.settings")} as "retentionMs" from found join projects p on p.id = found.project_id`,
};

/**
 * Removes events from the beginning, up to the first that is too young to go or not settled, and notes the last of them.
 * $1 project, $2 and $3 what is held, $4 those from before go, $5 and those from before, held or not.
 */
const REMOVE: Statement = {
  name: "events_remove_old",
  text: `
    with oldest as (
      select transaction_id, sequence,
        bool_and(create_time <= $4 and ($2::xid8 is null or (transaction_id, sequence) < ($2::xid8, $3::bigint) or create_time <= $5))
          over (order by transaction_id, sequence rows unbounded preceding) as goes
      from (
        select transaction_id, sequence, create_time from events
        where project_id = $1 and transaction_id < pg_snapshot_xmin(pg_current_snapshot())
        order by transaction_id, sequence limit ${BATCH}) first
    ), gone as (
      delete from events e using oldest o
      where o.goes and e.project_id = $1 and e.transaction_id = o.transaction_id and e.sequence = o.sequence
      returning e.transaction_id, e.sequence, e.id
    ), noted as (
      insert into event_removals as r (project_id, transaction_id, sequence, event_id)
      select p.id, gone.transaction_id, gone.sequence, gone.id from gone join projects p on p.id = $1
      order by gone.transaction_id desc, gone.sequence desc limit 1
      on conflict (project_id) do update
        set transaction_id = excluded.transaction_id, sequence = excluded.sequence, event_id = excluded.event_id
        where (r.transaction_id, r.sequence) < (excluded.transaction_id, excluded.sequence)
    )
    select count(*)::int as count from gone`,
};

/**
 * Removes the events that are older than their project keeps them, the oldest first, so that what is left has no gaps. An event that is
 * held is kept, and all after it, but no longer than twice as long.
 */
export async function removeOldEvents({ db, clock, heldFrom }: RemovalPorts, signal: AbortSignal): Promise<void> {
  const projects = await query<{ id: string; retentionMs: number }>(db.pool, PROJECTS, [], signal);
  for (const { id, retentionMs } of projects) {
    const held = await heldFrom?.(id, signal);
    const now = clock.now();
    const times = [new Date(now - retentionMs), new Date(now - 2 * retentionMs)];
    const values = [id, held?.transactionId ?? null, held?.sequence ?? null, ...times];
    for (let count = BATCH; count === BATCH; ) {
      const [gone] = await query<{ count: number }>(db.pool, REMOVE, values, signal);
      count = gone?.count ?? 0;
    }
  }
}
