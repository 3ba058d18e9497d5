import type { Database } from "../../db/orm.ts";
import { query, type Statement } from "../../db/statement.ts";
import { type EventCursor, HISTORY_START } from "../../events/read-events.ts";

/** Events stand in the order of their transactions: by their times, those of calls and of other servers' clocks, they are this far apart at most. */
export const SLACK_MS = 5 * 60_000;

/** The first event at or after a transaction: $1 project, $2 transaction. */
const AFTER: Statement = {
  name: "redeliver_after",
  text: `
    select transaction_id::text as "transactionId", create_time as "createTime" from events
    where project_id = $1 and transaction_id >= $2::xid8 order by transaction_id, sequence limit 1`,
};

/** $1 project. */
const LAST: Statement = {
  name: "redeliver_last",
  text: `
    select transaction_id::text as "transactionId" from events
    where project_id = $1 order by transaction_id desc, sequence desc limit 1`,
};

interface Found extends Record<string, unknown> {
  readonly transactionId: string;
  readonly createTime: Date;
}

/** A place in a project's history before all its events of a time and later. Found by halving, as there is no index by time. */
export async function placeBefore(
  { pool }: Pick<Database, "pool">,
  { projectId, signal }: { readonly projectId: string; readonly signal?: AbortSignal | undefined },
  timeMs: number,
): Promise<EventCursor> {
  const [last] = await query<Found>(pool, LAST, [projectId], signal);
  if (!last) return HISTORY_START;
  // All before `low` is too old, and `high` is not, or is the last.
  let low = 0n;
  let high = BigInt(last.transactionId);
  while (low < high) {
    const middle = (low + high) / 2n;
    const [found] = await query<Found>(pool, AFTER, [projectId, String(middle)], signal);
    if (found && found.createTime.getTime() < timeMs - SLACK_MS) low = BigInt(found.transactionId) + 1n;
    else high = middle;
  }
  return { transactionId: String(low), sequence: 0 };
}
