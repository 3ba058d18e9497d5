import { appendAuditSql } from "../audit/append-audit.ts";
import { type RecordedStatement, recorded } from "../db/recorded.ts";
import { appendEventSql, ORIGIN_OF_ACT } from "../events/append-event.ts";
import { guestTtlMsSql, tokenTtlMaxMsSql } from "../projects/projects.ts";
import { endAccessSql } from "../revocations/revocations.ts";
import { byKey, has } from "./user-statements.ts";

/**
 * What every deletion of users is, whatever its cause. `gone` is the part that deletes them and, by foreign keys, all that is their
 * own; it gives project_id, id, external_id and event_id of each, and as forget_time when nothing is left of what it was let in by.
 * Then its id is retired, its access ended, whenever that began, and its `user.deleted` written. $2 time.
 */
const deletionSql = (gone: string) => `
  with ${gone}, retired as (
    insert into deleted_users (project_id, id, delete_time) select project_id, id, $2::timestamptz from gone
  ), ended as (${endAccessSql({
    from: "gone",
    projectId: "project_id",
    subject: { userId: "id", beforeTime: "forget_time" },
    cause: "USER_DELETED",
    forgetAfterTime: "forget_time",
    createTime: "$2::timestamptz",
  })}), event as (${appendEventSql({
    from: "gone",
    projectId: "project_id",
    id: "event_id",
    type: "user.deleted",
    userId: "id",
    data: "jsonb_build_object('user_id', id, 'external_id', external_id)",
    createTime: "$2::timestamptz",
    origin: ORIGIN_OF_ACT,
  })}), audit as (${appendAuditSql({
    from: "gone",
    projectId: "project_id",
    userId: "id",
    createTime: "$2::timestamptz",
  })})
  select project_id as "projectId", id, external_id as "externalId" from gone`;

/** Deletes one user: $1 project, $2 time, $3 identifier, $4 event id, $5 when nothing is left that has not ended by itself. */
export const DELETE_USER = byKey((by) =>
  recorded({
    name: `users_delete_by_${by}`,
    text: deletionSql(`gone as (
    delete from users where ${has(by, "$3")}
    returning project_id, id, external_id, $4::uuid as event_id, $5::timestamptz as forget_time
  )`),
  }),
);

/** How many guests are deleted in one transaction. */
export const GUEST_BATCH = 200;

/**
 * Deletes guests whose time is over, of any projects, at most GUEST_BATCH: $1 as many event ids, $2 time, $3 when nothing is left that
 * lived no longer than this moment, $4 the life of a token in projects that do not say, in milliseconds. A user that somebody holds, to make
 * it a full one for instance, is left for the next run: whoever has it first decides.
 */
export const DELETE_GUESTS: RecordedStatement = recorded({
  name: "users_delete_guests",
  text: deletionSql(`due as materialized (
    select project_id, id, ($1::uuid[])[row_number() over ()] as event_id,
      $3::timestamptz + token_ttl_max_ms * interval '1 millisecond' as forget_time
    from (
      select u.project_id, u.id, ${tokenTtlMaxMsSql("p.settings", "$4::float8")} as token_ttl_max_ms
      from projects p cross join lateral (
        select project_id, id from users
        where project_id = p.id and guest
          and create_time <= $2::timestamptz - ${guestTtlMsSql("p.settings")} * interval '1 millisecond'
        order by create_time limit ${GUEST_BATCH} for update skip locked
      ) u limit ${GUEST_BATCH}
    ) held
  ), gone as (
    delete from users u using due where u.project_id = due.project_id and u.id = due.id and u.guest
    returning u.project_id, u.id, u.external_id, due.event_id, due.forget_time
  )`),
});
