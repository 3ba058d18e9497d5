import { appendAuditSql } from "../audit/append-audit.ts";
import { type RecordedStatement, recorded } from "../db/recorded.ts";
import type { Statement } from "../db/statement.ts";
import { appendEventSql, ORIGIN_OF_ACT } from "../events/append-event.ts";
import { endAccessSql, validFromSql } from "../revocations/revocations.ts";
import { AS_ROW, qualified } from "./user-statements.ts";

/** The most suspensions of one user. */
export const MOST_SUSPENSIONS = 100;

/** Says of a user, in an event and in an audit entry, what became of a suspension of it: the parts of a `with`. */
const toldSql = (suspensionId: string, event: string): string =>
  `event as (${event}), audit as (${appendAuditSql({
    from: "written",
    projectId: "$1::uuid",
    userId: "written.id",
    target: `'suspension/' || ${suspensionId}`,
    createTime: "$2::timestamptz",
  })})`;

const event = (type: string, from: string, suspension: string) =>
  appendEventSql({
    from,
    projectId: "$1::uuid",
    id: "$4::uuid",
    type,
    userId: "written.id",
    data: `jsonb_build_object('user_id', written.id, 'external_id', written.external_id, 'suspension', ${suspension})`,
    createTime: "$2::timestamptz",
    origin: ORIGIN_OF_ACT,
  });

/**
 * Adds a suspension, pending if it is to end what the user is signed in by, and says so; gives no row where there is no room: $1 project,
 * $2 time, $3 user, $4 event id, $5 suspension.
 */
export const SUSPEND_USER: RecordedStatement = recorded({
  name: "users_suspend",
  text: `
    with written as (
      update users u set suspensions = u.suspensions || jsonb_build_array($5::jsonb), update_time = $2, version = u.version + 1
      where u.project_id = $1 and u.id = $3 and jsonb_array_length(u.suspensions) < ${MOST_SUSPENSIONS}
      returning ${qualified("u")}
    ), pending as (
      insert into pending_suspensions (project_id, id, user_id, start_time, end_time)
      select $1, s.id, written.id, s.start_time, s.end_time
      from written cross join jsonb_to_record($5::jsonb)
        as s (id uuid, start_time timestamptz, end_time timestamptz, blocks_sign_in boolean)
      where s.blocks_sign_in and coalesce(s.end_time > $2, true)
    ), ${toldSql("($5::jsonb ->> 'id')", event("user.suspended", "written", "$5::jsonb"))}
    select ${AS_ROW} from written`,
});

/**
 * Takes a suspension away and says so; gives no row where there is none: $1 project, $2 time, $3 user, $4 event id, $5 id of
 * the suspension. Of any number of calls that race for one, the first to have the row writes: the others find it without. One that has
 * begun ends what it is to end nevertheless.
 */
export const LIFT_SUSPENSION: RecordedStatement = recorded({
  name: "users_lift_suspension",
  text: `
    with found as (
      select s as suspension from users u, jsonb_array_elements(u.suspensions) s
      where u.project_id = $1 and u.id = $3 and s ->> 'id' = $5
    ), written as (
      update users u set update_time = $2, version = u.version + 1, suspensions = (
        select coalesce(jsonb_agg(s order by place), '[]')
        from jsonb_array_elements(u.suspensions) with ordinality as e (s, place) where s ->> 'id' <> $5)
      where u.project_id = $1 and u.id = $3 and u.suspensions @> jsonb_build_array(jsonb_build_object('id', $5::text))
      returning ${qualified("u")}
    ), pending as (
      delete from pending_suspensions where project_id = $1 and id = $5::uuid and start_time > $2
    ), ${toldSql("$5::text", event("user.suspension_lifted", "written cross join found", "found.suspension"))}
    select ${AS_ROW} from written`,
});

/** The longest life that a project can give a token: nobody looks at the project's setting when a suspension starts. */
const FORGET_AFTER = "interval '366 days'";

/**
 * SQL that ends what the users are signed in by whose suspensions started by $1, each once, whoever comes first. What was there at $1 is
 * dead then: since the start nothing was issued, unless the suspension is over already. Gives the projects of those users.
 */
const startSql = (name: string, due: string, also = "") => ({
  name,
  text: `
    with due as (
      delete from pending_suspensions where ${due}
      returning project_id, id, user_id, least(greatest(start_time, $1), coalesce(end_time, 'infinity')) as time
    ), started as (
      select project_id, user_id, jsonb_agg(id) as suspensions,
        date_trunc('second', max(time)) + interval '1 second' as before_time from due
      group by project_id, user_id order by project_id, user_id
    ), written as (
      update users u set tokens_valid_from = ${validFromSql("u", "started.before_time")}
      from started where u.project_id = started.project_id and u.id = started.user_id
      returning u.project_id, u.id, u.tokens_valid_from as before_time, started.suspensions
    ), ended as (${endAccessSql({
      from: "written",
      projectId: "project_id",
      subject: { userId: "id", beforeTime: "before_time" },
      cause: "USER_SUSPENDED",
      forgetAfterTime: `before_time + ${FORGET_AFTER}`,
      createTime: "$1::timestamptz",
    })}) ${also}
    select distinct project_id as "projectId" from written`,
});

/** Starts one suspension that is due, as a part of what gave it, whose audit entry says so: $1 time, $2 project, $3 suspension. */
export const START_SUSPENSION: Statement = startSql(
  "users_start_suspension",
  "project_id = $2 and id = $3 and start_time <= $1",
);

/** Starts those that are due, of the given users, and says so in an audit entry of each: $1 time, $2 projects, $3 users. */
export const START_SUSPENSIONS: RecordedStatement = recorded(
  startSql(
    "users_start_suspensions",
    `(project_id, id) in (
    select p.project_id, p.id from pending_suspensions p
    join unnest($2::uuid[], $3::uuid[]) as u (project_id, user_id) using (project_id, user_id)
    where p.start_time <= $1 for update of p skip locked)`,
    `, audit as (${appendAuditSql({
      from: "written",
      projectId: "project_id",
      userId: "id",
      details: "jsonb_build_object('suspensions', suspensions)",
      createTime: "$1::timestamptz",
    })})`,
  ),
);

/** Whose suspensions are due, by $1 time, at most $2 of them, and when the next one is. */
export const DUE_SUSPENSIONS: Statement = {
  name: "users_due_suspensions",
  text: `
    select due.projects, due.users, (select min(start_time) from pending_suspensions where start_time > $1) as "nextStart"
    from (
      select coalesce(array_agg(project_id::text), '{}') as projects, coalesce(array_agg(user_id::text), '{}') as users
      from (select project_id, user_id from pending_suspensions where start_time <= $1 order by start_time limit $2) p) due`,
};
