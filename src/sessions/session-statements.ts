import { appendAuditSql } from "../audit/append-audit.ts";
import { type RecordedStatement, recorded } from "../db/recorded.ts";
import type { NamedStatement, Statement } from "../db/statement.ts";
import { appendEventSql, ORIGIN_OF_ACT } from "../events/append-event.ts";
import { blockedSql, userColumns, userRowSql } from "../users/users.ts";
import { endSql, isStandingSql, rowSql } from "./session-row.ts";

/** The user of a session, locked against whatever ends the user's access until the statement is over. */
const holderSql = (user: string, now: string) => `
  select ${userColumns("u")}, u.tokens_valid_from, ${blockedSql("u", now)} as suspended
  from users u where u.project_id = $1 and u.id = ${user} for share`;

/** The entry of what is done to the session of a row, by its user's id and its own. */
const auditSql = (session: string, time: string): string =>
  appendAuditSql({
    from: session,
    projectId: "$1::uuid",
    userId: `${session}.user_id`,
    target: `'session/' || ${session}.id`,
    createTime: time,
  });

/**
 * Makes a session and says so: $1 project, $2 user, $3 time, $4 session, $5 user agent, $6 address, $7 sealed seed, $8 digest of its token,
 * $9 when the token ends unless used, $10 and at the latest, $11 when the refresh token ends unless used, $12 and at the latest,
 * $13 the end of everything for a guest, $14 event id, $15 the password that the user proved to have, which must still be the one it has (null:
 * it proved itself otherwise).
 * Gives the user with `suspended`, and the session unless it was not made.
 */
export const CREATE_SESSION: RecordedStatement = recorded({
  name: "sessions_create",
  text: `
    with holder as materialized (${holderSql("$2", "$3::timestamptz")}
    ), proven as materialized (
      select p.id from holder h join passwords p on p.project_id = $1 and p.user_id = h.id where p.id = $15::uuid for share of p
    ), made as (
      insert into sessions as s (project_id, id, user_id, create_time, user_agent, address, sealed_seed, token_digest,
        last_active_time, expire_time, end_time, refresh_expire_time, refresh_end_time, guest_end_time)
      select $1::uuid, $4::uuid, h.id, greatest($3::timestamptz, h.tokens_valid_from), $5, $6, $7, $8,
        $3, least($9::timestamptz, $10), $10, least($11::timestamptz, $12), $12, $13
      from holder h where not h.suspended and ($15::uuid is null or exists (select from proven))
      returning s.*
    ), event as (${appendEventSql({
      from: "made join holder on true",
      projectId: "$1::uuid",
      id: "$14::uuid",
      type: "session.created",
      userId: "holder.id",
      data: `jsonb_build_object('session_id', made.id, 'user_id', holder.id, 'external_id', holder.external_id,
        'create_time', made.create_time, 'guest', holder.guest)`,
      createTime: "$3::timestamptz",
      origin: ORIGIN_OF_ACT,
    })}), audit as (${auditSql("made", "$3::timestamptz")})
    select ${userRowSql("holder")}, suspended, ${rowSql("made", "holder")} from holder left join made on true`,
});

/** The session of a session token that goes on: $1 digest, $2 time, $3 the project it has to be of (null: any). */
export const FIND_BY_TOKEN: NamedStatement = {
  name: "sessions_find_by_token",
  text: `
    select s.project_id as "projectId", ${rowSql("s", "u")}, u.guest, ${blockedSql("u", "$2::timestamptz")} as suspended
    from sessions s join users u on u.project_id = s.project_id and u.id = s.user_id
    where s.token_digest = $1 and ${endSql("expireTime", "s", "u")} > $2 and ($3::uuid is null or s.project_id = $3) and ${isStandingSql("s", "u")}`,
};

/**
 * Prolongs sessions that no one prolonged for a minute: $1 projects, $2 sessions, $3 their new ends, position by position, $4 time. No end
 * comes earlier than it was, nor later than the last one.
 */
export const PROLONG: Statement = {
  name: "sessions_prolong",
  text: `
    update sessions s set last_active_time = $4, expire_time = greatest(s.expire_time, least(s.end_time, used.until))
    from (select * from unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) as t(project_id, id, until) order by project_id, id) used
    where s.project_id = used.project_id and s.id = used.id
      and s.expire_time > $4 and s.last_active_time <= $4::timestamptz - interval '1 minute'
    returning s.project_id as "projectId", s.id as "sessionId", s.expire_time as "expireTime"`,
};

/** A session with what its tokens are derived from, unless its user's access was ended: $1 project, $2 session. */
export const READ_FAMILY: NamedStatement = {
  name: "sessions_read_family",
  text: `
    select ${rowSql("s", "u")} from sessions s join users u on u.project_id = s.project_id and u.id = s.user_id
    where s.project_id = $1 and s.id = $2 and ${isStandingSql("s", "u")}`,
};

/** Whether the session token is over: the refresh then makes the next one. */
const OVER = "s.expire_time <= $4::timestamptz";

/**
 * Uses a refresh token up: of any number of racing calls one. $1 project, $2 session, $3 user, $4 time, $5 number of the token, $6 when the
 * next one ends unless used, $7 digest of the next session token, should the current one be over, $8 when the session token ends unless
 * used, $9 and a new one at the latest. Gives the user with `suspended`, and the session unless another call was first or it ended.
 */
export const ROTATE: RecordedStatement = recorded({
  name: "sessions_rotate",
  text: `
    with holder as materialized (${holderSql("$3", "$4::timestamptz")}
    ), rotated as (
      update sessions s set
        refresh_counter = s.refresh_counter + 1, refresh_rotate_time = $4,
        refresh_expire_time = least(s.refresh_end_time, $6), last_active_time = $4,
        generation = case when ${OVER} then s.generation + 1 else s.generation end,
        token_digest = case when ${OVER} then $7 else s.token_digest end,
        end_time = case when ${OVER} then least(s.refresh_end_time, $9) else s.end_time end,
        expire_time = case when ${OVER} then least(s.refresh_end_time, $8, $9)
          else greatest(s.expire_time, least(s.end_time, $8)) end
      from holder h
      where s.project_id = $1 and s.id = $2 and s.refresh_counter = $5 and ${endSql("refreshExpireTime", "s", "h")} > $4
        and not h.suspended and ${isStandingSql("s", "h")}
      returning s.*
    ), audit as (${auditSql("rotated", "$4::timestamptz")})
    select ${userRowSql("holder")}, suspended, ${rowSql("rotated", "holder")} from holder left join rotated on true`,
});

/** What a refresh gave before: $1 project, $2 session, $3 user, $4 time, $5 number of the successor. */
export const REPLAY: Statement = {
  name: "sessions_replay",
  text: `
    with holder as materialized (${holderSql("$3", "$4::timestamptz")}
    ), held as (
      select s.* from sessions s, holder h
      where s.project_id = $1 and s.id = $2 and s.refresh_counter = $5 and ${endSql("refreshExpireTime", "s", "h")} > $4
        and not h.suspended and ${isStandingSql("s", "h")}
    )
    select ${userRowSql("holder")}, suspended, ${rowSql("held", "holder")} from holder left join held on true`,
};

const LIVES = `greatest(${endSql("expireTime", "s", "u")}, ${endSql("refreshExpireTime", "s", "u")})`;

/** A session of a project by its id, while it goes on or can be refreshed: $1 project, $2 session, $3 user (null: anyone), $4 time. */
export const GET_SESSION: NamedStatement = {
  name: "sessions_get",
  text: `
    select ${rowSql("s", "u")}, u.guest from sessions s join users u on u.project_id = s.project_id and u.id = s.user_id
    where s.project_id = $1 and s.id = $2 and ($3::uuid is null or s.user_id = $3)
      and ${LIVES} > $4 and ${isStandingSql("s", "u")}`,
};

/**
 * The sessions of a user that go on or can be refreshed, newest first: $1 project, $2 user, $3 time, $4 and $5 sign-in time and id of the
 * last one of the page before (null: the first page), $6 how many.
 */
export const LIST_SESSIONS: Statement = {
  name: "sessions_list",
  text: `
    select ${rowSql("s", "u")}, u.guest from sessions s join users u on u.project_id = s.project_id and u.id = s.user_id
    where s.project_id = $1 and s.user_id = $2 and ${LIVES} > $3 and ${isStandingSql("s", "u")}
      and ($4::timestamptz is null or (s.create_time, s.id) < ($4, $5::uuid))
    order by s.create_time desc, s.id desc limit $6`,
};
