import type { Database } from "../db/orm.ts";
import { query, type Statement } from "../db/statement.ts";
import { MusterError } from "../errors.ts";
import { type EventPosition, NOTHING_READ, positionOf } from "./event-cursor.ts";
import { type EventTypes, isWantedSql } from "./event-types.ts";
import type { StoredEvent } from "./read-events.ts";

/** Which events are read. */
export interface EventFilter {
  readonly types: EventTypes;
  /** Only what is about this user; undefined: all. */
  readonly userId: string | undefined;
}

/** Some events behind a position. */
export interface HistoryPage {
  readonly events: readonly StoredEvent[];
  /** Where the next read goes on: behind all that was looked at, wanted or not. */
  readonly next: EventPosition;
  /** Whether there is more that is settled. */
  readonly more: boolean;
  /** Whether there are events that are committed and not settled. */
  readonly pending: boolean;
}

/** Events that one read looks at at most, wanted or not. */
const MOST_LOOKED_AT = 10_000;

/** What is behind it is settled: no transaction that is running or begins can still put an event there. */
const HORIZON = "pg_snapshot_xmin(pg_current_snapshot())";

/** $1 project, $2 to $4 the position (no id: from its start), $5 whether it was one already, $6 and $7 types, $8 limit, $9 user. */
function readSql(ofUser: string): string {
  const behind = `from events where project_id = $1 ${ofUser} and (transaction_id, sequence) > ($2::xid8, $3::bigint)
      and transaction_id < ${HORIZON} order by transaction_id, sequence`;
  return `
  with looked_at as (
    select transaction_id, sequence, type ${behind} limit ${MOST_LOOKED_AT}
  ), page as materialized (
    select transaction_id, sequence from looked_at where ${isWantedSql("type", "$6::text[]", "$7::text[]")}
    order by transaction_id, sequence limit $8
  ), removed as (
    select transaction_id, sequence, event_id as id from event_removals where project_id = $1
  ), head as (
    (select transaction_id, sequence, id from events where project_id = $1 and transaction_id < ${HORIZON}
      order by transaction_id desc, sequence desc limit 1)
    union all select * from removed
    order by transaction_id desc, sequence desc limit 1
  ), reach as materialized (
    select transaction_id, sequence, id, true as more from (select transaction_id, sequence, id ${behind} offset ${MOST_LOOKED_AT - 1} limit 1) last
    union all select transaction_id, sequence, id, false from head
    order by more desc limit 1
  ), known as (
    select not $5::boolean
      or ($4::uuid is null and not exists (select from removed))
      or exists (select from events where project_id = $1 and transaction_id = $2::xid8 and sequence = $3::bigint and id = $4)
      or exists (select from removed where transaction_id = $2::xid8 and sequence = $3::bigint and id = $4) as known
  )
  select known.known, reach.transaction_id::text as "reachTransactionId", reach.sequence as "reachSequence", reach.id as "reachId",
    coalesce(reach.more, false) as more,
    exists (select from events where project_id = $1 and transaction_id >= ${HORIZON}) as pending,
    e.id, e.type, e.user_id as "userId", e.data, e.origin, e.create_time as "createTime",
    e.transaction_id::text as "transactionId", e.sequence
  from known left join reach on true left join (
    select e.* from page join events e on e.project_id = $1 and e.transaction_id = page.transaction_id and e.sequence = page.sequence
  ) e on true
  order by e.transaction_id, e.sequence`;
}

const OF_ALL: Statement = { name: "events_history", text: readSql("") };
const OF_USER: Statement = { name: "events_history_of_user", text: readSql("and user_id = $9") };
const OLDEST: Statement = {
  name: "events_oldest",
  text: "select create_time as time from events where project_id = $1 order by transaction_id, sequence limit 1",
};

const HEAD: Statement = {
  name: "events_head",
  text: `
    select transaction_id::text as "transactionId", sequence, id as "eventId" from (
      (select transaction_id, sequence, id from events where project_id = $1 and transaction_id < ${HORIZON}
        order by transaction_id desc, sequence desc limit 1)
      union all select transaction_id, sequence, event_id from event_removals where project_id = $1
    ) last order by transaction_id desc, sequence desc limit 1`,
};

interface Row {
  readonly known: boolean;
  readonly reachTransactionId: string | null;
  readonly reachSequence: number | null;
  readonly reachId: string | null;
  readonly more: boolean;
  readonly pending: boolean;
  readonly id: string | null;
  readonly transactionId: string;
  readonly sequence: number;
}

/**
 * The next events behind `from` (undefined: from the oldest that is kept) that are wanted, at most `limit`. EVENT_CURSOR_EXPIRED where some
 * behind it have been removed, or where it stands in a history that is not this one.
 */
export async function readHistory(
  db: Database,
  { projectId, signal }: { readonly projectId: string; readonly signal?: AbortSignal | undefined },
  from: EventPosition | undefined,
  { types, userId }: EventFilter,
  limit: number,
): Promise<HistoryPage> {
  const start = from ?? NOTHING_READ;
  const position = [start.transactionId, start.sequence, start.eventId, from !== undefined];
  const values = [projectId, ...position, types.whole, types.beginnings, limit + 1];
  const [statement, all] = userId === undefined ? [OF_ALL, values] : [OF_USER, [...values, userId]];
  const rows = await query<Row & StoredEvent>(db.pool, statement, all, signal);
  const [first] = rows;
  if (!first?.known) throw await expired(db, projectId, signal);
  const found = rows.filter(({ id }) => id !== null).map(eventOf);
  const events = found.slice(0, limit);
  const last = events.at(-1);
  if (last && found.length > limit) {
    return { events, next: positionOf(last), more: true, pending: first.pending };
  }
  return { events, next: reachOf(first) ?? start, more: first.more, pending: first.pending };
}

const eventOf = ({
  id,
  type,
  userId,
  data,
  origin,
  createTime,
  transactionId,
  sequence,
}: Row & StoredEvent): StoredEvent => ({
  ...{ id, type, userId, data, origin, createTime },
  cursor: { transactionId, sequence },
});

function reachOf({ reachTransactionId, reachSequence, reachId }: Row): EventPosition | undefined {
  if (reachTransactionId === null || reachSequence === null) return undefined;
  return { transactionId: reachTransactionId, sequence: reachSequence, eventId: reachId };
}

async function expired(db: Database, projectId: string, signal: AbortSignal | undefined): Promise<MusterError> {
  const [oldest] = await query<{ time: Date }>(db.pool, OLDEST, [projectId], signal);
  const metadata = oldest && { oldest_event_time: oldest.time.toISOString() };
  return new MusterError("EVENT_CURSOR_EXPIRED", { ...(metadata && { metadata }) });
}

/** The position of one who has read all that is settled. */
export async function readHead(
  db: Database,
  { projectId, signal }: { readonly projectId: string; readonly signal?: AbortSignal | undefined },
): Promise<EventPosition> {
  const [head] = await query<EventPosition & Record<string, unknown>>(db.pool, HEAD, [projectId], signal);
  return head ?? NOTHING_READ;
}
