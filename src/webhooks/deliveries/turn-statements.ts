import type { Statement } from "../../db/statement.ts";

// Rows are found by an index and changed where they stand (ctid): whoever changes them has the lock, and how a table is joined with itself would be
// the planner's guess.

/** Events that are read, and deliveries that are given up, in one transaction. */
export const PAGE = 1_000;
/** Attempts of a delivery that are kept: the latest. */
const KEPT_ATTEMPTS = 20;

const COLUMNS = `id as "webhookId", url, event_types as "eventTypes", payload, max_concurrency as "maxConcurrency",
  sealed_secrets as "sealedSecrets", previous_secret_until as "previousSecretUntil", disabled, failing_since as "failingSince",
  resume_time as "resumeTime", cursor_transaction_id::text as "transactionId", cursor_sequence as "sequence"`;
const LOCK_TEXT = `select ${COLUMNS} from webhooks where project_id = $1 and id = $2 for no key update`;

/** Locks a webhook: $1 project, $2 webhook. Gives no row if there is none. */
export const LOCK: Statement = { name: "deliveries_lock", text: LOCK_TEXT };
/** The same, and gives no row if somebody else has the lock. */
export const TRY_LOCK: Statement = { name: "deliveries_try_lock", text: `${LOCK_TEXT} skip locked` };

/**
 * Notes what came of claimed deliveries: $1 project, $2 webhook, $3 the outcomes as JSON, $4 now. Who was given up meanwhile may yet have succeeded.
 * Where a user's delivery is over, its next one is ready.
 */
export const NOTE: Statement = {
  name: "deliveries_note",
  text: `
    with told as (
      select * from jsonb_to_recordset($3::jsonb) as t (event_id uuid, run_id uuid, state text, failure text,
        next_attempt_time timestamptz, attempt jsonb)
    ), noted as (
      update deliveries d set
        state = t.state, failure = t.failure, ready = t.state = 'PENDING', run_id = null,
        next_attempt_time = coalesce(t.next_attempt_time, d.next_attempt_time),
        attempt_count = d.attempt_count + case when t.attempt is null then 0 else 1 end,
        first_attempt_time = coalesce(d.first_attempt_time, (t.attempt ->> 'time')::timestamptz),
        attempts = case when t.attempt is null then d.attempts
          when jsonb_array_length(d.attempts) < ${KEPT_ATTEMPTS} then d.attempts || t.attempt
          else (d.attempts - 0) || t.attempt end,
        complete_time = case when t.state <> 'PENDING' then $4::timestamptz end
      from told t
      where d.project_id = $1 and d.webhook_id = $2 and d.event_id = t.event_id and d.run_id = t.run_id
        and (d.state = 'PENDING' or t.state = 'SUCCEEDED')
      returning d.user_id, d.state
    ), next as (
      update deliveries set ready = true where ctid = any (array(
        select (select p.ctid from deliveries p
          where p.project_id = $1 and p.webhook_id = $2 and p.user_id = u.user_id and p.state = 'PENDING' and not p.ready
          order by p.position limit 1)
        from (select distinct user_id from noted where state <> 'PENDING' and user_id is not null) u))
    )
    select state, count(*)::int as count from noted group by state`,
};

/** Whether a webhook of the types takes events of the type, in SQL: what `wantsEvents` is. */
export const wantsSql = (types: string, type: string): string => `
  case when cardinality(${types}) = 0 then ${type} <> 'user.updated'
    else exists (select from unnest(${types}) as t (pattern)
      where ${type} = pattern or (right(pattern, 2) = '.*' and starts_with(${type}, left(pattern, -1)))) end`;

/** Of rows of `from` (id, user_id, …), which of a user's comes first, in the order given: it is ready if no other of that user is pending. */
export const readySql = (from: string): string => `${from}.user_id is null or (${from}.nth = 1 and not exists (
  select from deliveries p where p.project_id = $1 and p.webhook_id = $2 and p.user_id = ${from}.user_id and p.state = 'PENDING'))`;

/**
 * Makes deliveries of the settled events after the cursor: $1 project, $2 webhook, $3 and $4 the cursor, $5 now. Those that were asked for before
 * (RedeliverEvent) are there. Tells how many were read, whether there were such, and where the cursor now is.
 */
export const FAN_OUT: Statement = {
  name: "deliveries_fan_out",
  text: `
    with news as materialized (
      select e.id, e.type, e.user_id, e.transaction_id, e.sequence, coalesce(e.written_in, e.transaction_id) as written_in from events e
      where e.project_id = $1 and (e.transaction_id, e.sequence) > ($3::xid8, $4::bigint)
        and e.transaction_id < pg_snapshot_xmin(pg_current_snapshot())
      order by e.transaction_id, e.sequence limit ${PAGE}
    ), wanted as (
      select n.*, row_number() over (partition by n.user_id order by n.transaction_id, n.sequence) as nth
      from news n join webhooks w on w.project_id = $1 and w.id = $2
      where ${wantsSql("w.event_types", "n.type")} and not pg_visible_in_snapshot(n.written_in, w.since)
    ), made as (
      insert into deliveries (project_id, event_id, webhook_id, event_type, user_id, state, ready, next_attempt_time, create_time)
      select $1, wanted.id, $2, wanted.type, wanted.user_id, 'PENDING', ${readySql("wanted")}, $5::timestamptz, $5::timestamptz
      from wanted order by wanted.transaction_id, wanted.sequence
      on conflict do nothing
      returning 1
    )
    select (select count(*)::int from news) as read,
      (select count(*) from made) < (select count(*) from wanted) as "hadSome",
      last.transaction_id::text as "transactionId", last.sequence
    from (select transaction_id, sequence from news order by transaction_id desc, sequence desc limit 1) last`,
};

/** Where some deliveries were there, a user's first pending one may not be ready, nor any other: $1 project, $2 webhook. */
export const READY: Statement = {
  name: "deliveries_ready",
  text: `
    update deliveries set ready = true where ctid = any (array(
      select (select p.ctid from deliveries p
        where p.project_id = $1 and p.webhook_id = $2 and p.user_id = u.user_id and p.state = 'PENDING'
        order by p.position limit 1)
      from (select user_id from deliveries where project_id = $1 and webhook_id = $2 and state = 'PENDING' and user_id is not null
        group by user_id having not bool_or(ready)) u))`,
};

/**
 * Claims deliveries that are due: $1 project, $2 webhook, $3 now, $4 at most, $5 the most under way to the webhook, on all servers, $6 run,
 * $7 until when. An event that is gone has no type.
 */
export const CLAIM: Statement = {
  name: "deliveries_claim",
  text: `
    with busy as (
      select count(*)::int as count from deliveries
      where project_id = $1 and webhook_id = $2 and run_id is not null and next_attempt_time > $3::timestamptz
    ), claimed as (
      update deliveries set run_id = $6, next_attempt_time = $7::timestamptz where ctid = any (array(
        select ctid from deliveries
        where project_id = $1 and webhook_id = $2 and ready and next_attempt_time <= $3::timestamptz
        order by next_attempt_time, position
        limit greatest(0, least($4::int, $5::int - (select count from busy)))))
      returning event_id, position, attempt_count, first_attempt_time
    )
    select c.event_id as "eventId", c.attempt_count as "attemptCount", c.first_attempt_time as "firstAttemptTime",
      e.type, e.user_id as "userId", e.data, e.origin, e.create_time as "createTime"
    from claimed c left join events e on e.project_id = $1 and e.id = c.event_id
    order by c.position`,
};

/** Keeps what changed of a webhook by its turn: $1 project, $2 webhook, $3 and $4 the cursor, $5 failing since, $6 until when it rests. */
export const KEEP: Statement = {
  name: "deliveries_keep",
  text: `
    update webhooks set cursor_transaction_id = $3::xid8, cursor_sequence = $4::bigint, failing_since = $5::timestamptz,
      resume_time = $6::timestamptz
    where project_id = $1 and id = $2`,
};

/**
 * Gives up what is pending for a webhook that is disabled, the last first, so that the first of each user stays ready until all are: $1 project,
 * $2 webhook, $3 now. What is under way may yet succeed.
 */
export const GIVE_UP: Statement = {
  name: "deliveries_give_up",
  text: `
    with given_up as (
      update deliveries set state = 'FAILED', failure = 'DISABLED', ready = false, complete_time = $3::timestamptz
      where ctid = any (array(
        select ctid from deliveries where project_id = $1 and webhook_id = $2 and state = 'PENDING'
        order by position desc limit ${PAGE}))
      returning 1
    )
    select count(*)::int as count from given_up`,
};
