import type { Database } from "../db/orm.ts";
import { query, type Statement } from "../db/statement.ts";

/** An event as it is read. */
export interface StoredEvent {
  readonly id: string;
  readonly type: string;
  readonly userId: string | null;
  readonly data: object;
  readonly origin: string | null;
  readonly createTime: Date;
  /** Where the next read goes on. */
  readonly cursor: EventCursor;
}

/** A place in a project's history: the transaction (a 64-bit number in decimal) and the sequence in it. */
export interface EventCursor {
  readonly transactionId: string;
  readonly sequence: number;
}

/** Before every event. */
export const HISTORY_START: EventCursor = { transactionId: "0", sequence: 0 };

/**
 * Transactions that are still running may yet write events with a lower id than those already there, so reading stops before the
 * oldest of them: what lies behind this horizon is settled and nothing is ever added to it.
 */
const READ: Statement = {
  name: "events_read",
  text: `
    select id, type, user_id as "userId", data, origin, create_time as "createTime",
           transaction_id::text as "transactionId", sequence
    from events
    where project_id = $1
      and (transaction_id, sequence) > ($2::xid8, $3::bigint)
      and transaction_id < pg_snapshot_xmin(pg_current_snapshot())
    order by transaction_id, sequence
    limit $4`,
};

type Row = Omit<StoredEvent, "cursor"> & EventCursor;

/** The next events of a project after `after`, at most `limit`, in the order they were committed behind the horizon. */
export async function readEvents(
  db: Database,
  { projectId, signal }: { projectId: string; signal?: AbortSignal },
  after: EventCursor,
  limit: number,
): Promise<StoredEvent[]> {
  const values = [projectId, after.transactionId, after.sequence, limit];
  const rows = await query<Row>(db.pool, READ, values, signal);
  return rows.map(({ transactionId, sequence, ...event }) => ({ ...event, cursor: { transactionId, sequence } }));
}
