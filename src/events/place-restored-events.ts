import type { SqlEntityManager } from "@mikro-orm/postgresql";
import type { Database } from "../db/orm.ts";
import { query, type Statement } from "../db/statement.ts";
import { transaction } from "../db/transaction.ts";

/** The projects that have events, each found by the one before. */
const PROJECTS = `
  with recursive found as (
    (select project_id from events order by project_id limit 1)
    union all
    select (select e.project_id from events e where e.project_id > found.project_id order by e.project_id limit 1)
    from found where found.project_id is not null
  )`;

/**
 * Whether some project's last event is of a transaction that this cluster has yet to begin, as after a dump was restored into another one: it
 * would not be settled for a long time, and what happens from now on would stand before it.
 */
const IS_AHEAD: Statement = {
  name: "events_ahead",
  text: `${PROJECTS}
    select exists (
      select from found where (
        select e.transaction_id from events e where e.project_id = found.project_id
        order by e.transaction_id desc, e.sequence desc limit 1
      ) >= pg_snapshot_xmax(pg_current_snapshot())
    ) as ahead`,
};

/** Before every transaction that a cluster gives out. */
const FIRST_PLACE = "'1'::xid8";
const BATCH = 5_000;

const MOVE = `
  with batch as (
    select transaction_id, sequence from events
    where project_id = ? and (transaction_id, sequence) > (?::xid8, ?::bigint) order by transaction_id, sequence limit ${BATCH}
  ), moved as (
    update events e set transaction_id = ${FIRST_PLACE}, written_in = null from batch
    where e.project_id = ? and e.transaction_id = batch.transaction_id and e.sequence = batch.sequence
  )
  select transaction_id::text as "transactionId", sequence::text, count(*) over ()::int as count from batch
  order by batch.transaction_id desc, batch.sequence desc limit 1`;

/** Before the first event that a webhook has yet to be sent: rather is one sent twice than left out. All that is new is sent. */
const MOVE_WEBHOOKS = `
  update webhooks w set since = '1:1:', cursor_transaction_id = ${FIRST_PLACE}, cursor_sequence = coalesce(
    (select min(e.sequence) - 1 from events e
      where e.project_id = w.project_id and (e.transaction_id, e.sequence) > (w.cursor_transaction_id, w.cursor_sequence)),
    (select max(e.sequence) from events e where e.project_id = w.project_id), 0)`;

interface Moved {
  readonly transactionId: string;
  readonly sequence: string;
  readonly count: number;
}

/**
 * Puts events that were written in another cluster before all that is written in this one, in the order of their sequence, in which
 * nothing stands before what it came after. Cursors from before are those of another history then. Writers wait meanwhile. Gives how many
 * were moved; nearly always none.
 */
export async function placeRestoredEvents(db: Database): Promise<number> {
  const [found] = await query<{ ahead: boolean }>(db.pool, IS_AHEAD, []);
  if (!found?.ahead) return 0;
  return transaction(db, {}, async (em) => {
    // Once they are locked no writer is under way: all that is there is committed. Another server may have done it before.
    await em.execute("lock table events, event_removals, webhooks in share row exclusive mode");
    const [still] = await em.execute<{ ahead: boolean }[]>(IS_AHEAD.text);
    if (!still?.ahead) return 0;
    await em.execute(`update event_removals set transaction_id = ${FIRST_PLACE}`);
    await em.execute(MOVE_WEBHOOKS);
    const projects = await em.execute<{ id: string }[]>(
      `${PROJECTS} select project_id as id from found where project_id is not null`,
    );
    let moved = 0;
    for (const { id } of projects) moved += await moveAll(em, id);
    return moved;
  });
}

/** In pieces, none of which takes long for a statement. */
async function moveAll(em: SqlEntityManager, projectId: string): Promise<number> {
  let moved = 0;
  for (let last: Moved = { transactionId: "1", sequence: String(2n ** 63n - 1n), count: 0 }; ; ) {
    const [batch] = await em.execute<Moved[]>(MOVE, [projectId, last.transactionId, last.sequence, projectId]);
    if (!batch) return moved;
    moved += batch.count;
    last = batch;
  }
}
