import type { SqlEntityManager } from "@mikro-orm/postgresql";
import type { Database } from "../db/orm.ts";
import { transaction } from "../db/transaction.ts";

/** "audit" on a phone's keys: of processes that start at once one places, and the others find it done. */
const LOCK = 28_348;
/** What somebody inserted into the far future is no reason to place anything behind it. */
const FARTHEST = "'4611686018427387904'::xid8";

/**
 * The highest place that is taken, and the one that a transaction would have now: by a step through each of the primary keys for every project.
 * Seals are of what the database had come to, so that one of the future was made on another server.
 */
const LOOK = `
  with recursive ends (project_id, sealed) as (
    (select project_id, transaction_id from audit_seals order by project_id limit 1)
    union all
    select n.project_id, n.transaction_id from ends e cross join lateral (
      select project_id, transaction_id from audit_seals where project_id > e.project_id order by project_id limit 1) n
  ), lasts as (
    select (select transaction_id from audit_seals s where s.project_id = e.project_id order by number desc limit 1) as sealed,
      (select transaction_id from audit_entries a where a.project_id = e.project_id and a.transaction_id < ${FARTHEST}
       order by transaction_id desc, sequence desc limit 1) as written
    from ends e
  )
  select coalesce(max(sealed::text::numeric) >= now_at, false) as restored,
    (greatest(max(sealed::text::numeric), max(written::text::numeric)) + 1 - transaction)::text as distance
  from (select pg_snapshot_xmax(pg_current_snapshot())::text::numeric as transaction,
          audit_place(pg_snapshot_xmax(pg_current_snapshot()))::text::numeric as now_at) n
  left join lasts on true group by now_at, transaction`;

/**
 * Where the database was restored from another server, whose transaction ids were higher: has new entries placed behind those that are there, and
 * gives true. To be run before anything is written.
 */
export function placeAfterRestore(db: Database): Promise<boolean> {
  return transaction(db, {}, async (em: SqlEntityManager) => {
    await em.execute("select pg_advisory_xact_lock(?)", [LOCK]);
    const [found]: { restored: boolean; distance: string }[] = await em.execute(LOOK);
    if (!found?.restored) return false;
    const distance = BigInt(found.distance);
    const place = (sql: string) => `immutable language sql return (${sql})::text::xid8`;
    await em.execute(
      `create or replace function audit_place(id xid8) returns xid8 ${place(`id::text::numeric + ${distance}`)}`,
    );
    // What was restored had committed before everything that this server does.
    await em.execute(
      `create or replace function audit_transaction(place xid8) returns xid8 ${place(`greatest(place::text::numeric - ${distance}, 0)`)}`,
    );
    return true;
  });
}
