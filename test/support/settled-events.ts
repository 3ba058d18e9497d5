import { setTimeout as sleep } from "node:timers/promises";
import type { Database } from "../../src/db/orm.ts";
import { type EventCursor, HISTORY_START, readEvents, type StoredEvent } from "../../src/events/read-events.ts";

const SETTLED = `
  select coalesce(max(transaction_id) < pg_snapshot_xmin(pg_current_snapshot()), true) as settled
  from events where project_id = $1`;

/** Until those that a project has so far are settled: the horizon is that of the whole server, where other tests' transactions may still run. */
export async function settle(db: Database, projectId: string): Promise<void> {
  while (!(await db.pool.query(SETTLED, [projectId])).rows[0].settled) await sleep(5);
}

/** All events of a project from a cursor on, once those written so far are settled. */
export async function settledEvents(
  db: Database,
  projectId: string,
  from: EventCursor = HISTORY_START,
  pageSize = 1_000,
) {
  await settle(db, projectId);
  const events: StoredEvent[] = [];
  for (;;) {
    const page = await readEvents(db, { projectId }, events.at(-1)?.cursor ?? from, pageSize);
    events.push(...page);
    if (page.length < pageSize) return events;
  }
}

/** Those of them that are about a user, and not about the project itself. */
export const settledUserEvents = async (db: Database, projectId: string): Promise<StoredEvent[]> =>
  (await settledEvents(db, projectId)).filter(({ userId }) => userId !== null);
