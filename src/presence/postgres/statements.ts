import { blockedSql } from "../../users/users.ts";

/** The one channel of all presences: Postgres up to 18 wakes every listener of a database anyway. */
export const CHANNEL = "muster_presence";

/** Longer than anything holds a row up: everybody's presences wait for a batch and for a read of many. */
const WITHIN_MS = 6_000;

/** This server's clock in microseconds, anew each time it is evaluated. */
const NOW = "(extract(epoch from clock_timestamp()) * 1000000)::bigint";

/** A notification takes less than 8,000 bytes: items of at most 1,000 in packs that begin within 6,000. */
const ITEM_BYTES = 1_000;
const PACK_BYTES = 6_000;

/**
 * Sets the presences of a batch and notifies of those that changed. $1 project ids, $2 user ids, $3 chains, $4 spans of the
 * first steps and $5 of the whole chains in microseconds, null without end; a user at most once.
 *
 * - `held`: a user that gets its first presence is kept from being deleted until the row that points at it is in. One that
 *   somebody else holds is skipped, so that one user never stops a batch; users with a row need no look, the foreign key
 *   takes the row along with the user.
 * - `written`: rows are taken in the order of their key, so that batches never wait for each other in a circle. The clock is
 *   read in the SET clause, which runs after the row is locked: that is what makes revisions rise.
 * - Those that may not sign in have no presence: it can be ended, by a chain without steps, and not set.
 * - A refresh (an equal chain while its first step lasts) keeps `since`, and is told to nobody.
 */
export const SET_STATEMENT = {
  name: "presence_set",
  withinMs: WITHIN_MS,
  text: `
with input as materialized (
  select i.project_id, i.user_id, i.chain, i.first_ttl, i.span, u.external_id, u.last_active_time,
    u.id is not null as user_exists, i.chain <> '[]' and ${blockedSql("u", "now()")} as is_suspended, p.user_id is not null as has_row
  from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[])
    as i (project_id, user_id, chain, first_ttl, span)
  left join users u on u.project_id = i.project_id and u.id = i.user_id
  left join presences p on p.project_id = i.project_id and p.user_id = i.user_id
), held as materialized (
  select u.id from input i join users u on u.project_id = i.project_id and u.id = i.user_id
  where not i.has_row and not i.is_suspended order by u.project_id, u.id
  for key share of u skip locked
), written as (
  insert into presences as p (project_id, user_id, rev, set_at, since, ends_at, first_ttl, chain)
  select i.project_id, i.user_id, c.now, c.now, c.now, c.now + i.span, i.first_ttl, i.chain
  from input i cross join (select ${NOW} as now) c
  where (i.has_row or i.user_id in (select id from held)) and not i.is_suspended
  order by i.project_id, i.user_id
  on conflict (project_id, user_id) do update set
    (rev, set_at, ends_at, since) = (
      select greatest(p.rev + 1, c.now), c.now, c.now + excluded.ends_at - excluded.set_at,
        case when p.chain = excluded.chain and (p.first_ttl is null or c.now < p.set_at + p.first_ttl)
          then p.since else c.now end
      from (select ${NOW} as now) c),
    first_ttl = excluded.first_ttl, chain = excluded.chain
  returning p.project_id, p.user_id, p.rev, p.set_at, p.since, p.chain
), items as (
  select '["' || project_id || '","' || user_id || '"' || case when octet_length(chain) < ${ITEM_BYTES - 200}
    then ',' || rev || ',' || set_at || ',' || since || ',' || chain else '' end || ']' as item
  from written where since = set_at
), packs as (
  select item, (sum(octet_length(item) + 1) over (rows unbounded preceding) - octet_length(item) - 1)::int / ${PACK_BYTES} as pack
  from items
), notified as materialized (
  select pg_notify('${CHANNEL}', '[' || string_agg(item, ',') || ']') from packs group by pack
)
select i.project_id, i.user_id, i.user_exists, i.is_suspended, i.external_id, i.last_active_time, w.rev, w.set_at, w.since,
  ${NOW} as now, (select count(*) from notified) as notifications
from input i left join written w on w.project_id = i.project_id and w.user_id = i.user_id`,
};

/** The cluster. */
export const CLUSTER_STATEMENT = {
  name: "presence_cluster",
  withinMs: WITHIN_MS,
  text: "select system_identifier::text as id from pg_control_system()",
};

/**
 * Reads users and their presences, and the timeline, which is another one after each failover. On a standby it fails. $1 project ids, $2 user ids; one row for each pair, in their order. */
export const GET_STATEMENT = {
  name: "presence_get",
  withinMs: WITHIN_MS,
  text: `
select u.external_id, u.last_active_time, p.rev, p.set_at, p.since, p.chain, ${NOW} as now,
  (select left(pg_walfile_name(pg_current_wal_lsn()), 8)) as timeline
from unnest($1::uuid[], $2::uuid[]) with ordinality as i (project_id, user_id, place)
left join users u on u.project_id = i.project_id and u.id = i.user_id
left join presences p on p.project_id = i.project_id and p.user_id = i.user_id
order by i.place`,
};

/** When the statement began, by this server's clock in microseconds. */
const BEGUN = "(extract(epoch from now()) * 1000000)::bigint";

/** Reads a project's presences in the order of their users' ids: $1 project id, $2 the id to begin after, $3 how many to look at. */
export const SCAN_STATEMENT = {
  name: "presence_scan",
  text: `
with page as materialized (
  select * from presences where project_id = $1 and user_id > $2 order by user_id limit $3
)
select ${BEGUN} as now, (select count(*) from page)::int as looked, (select max(user_id::text) from page) as last,
  p.user_id, p.rev, p.set_at, p.since, p.chain
from (select) one left join page p on p.ends_at is null or p.ends_at > ${BEGUN}
order by p.user_id`,
};

/**
 * Counts a project's presences by the status in force, without those whose chains are over: $1 project id. What a link after the first costs
 * is paid for those that are in one.
 */
export const COUNT_STATEMENT = {
  name: "presence_count",
  text: `
select c.now, s.status, count(*)::int as count
from (select ${BEGUN} as now) c left join lateral (
  select case
    when p.first_ttl is null or ${BEGUN} < p.set_at + p.first_ttl then p.chain::jsonb -> 0 ->> 'status'
    else (
      select link.step ->> 'status' from (
        select e.step, e.place, case when e.step -> 'ttl' is not null
          then p.set_at + sum((e.step ->> 'ttl')::bigint) over (order by e.place) end as ends_at
        from jsonb_array_elements(p.chain::jsonb) with ordinality as e (step, place)) link
      where link.ends_at is null or link.ends_at > ${BEGUN} order by link.place limit 1)
    end as status
  from presences p where p.project_id = $1 and (p.ends_at is null or p.ends_at > ${BEGUN})) s on true
group by c.now, s.status`,
};
