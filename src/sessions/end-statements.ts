import { appendAuditSql } from "../audit/append-audit.ts";
import { type RecordedStatement, recorded } from "../db/recorded.ts";
import { appendEventSql, ORIGIN_OF_ACT } from "../events/append-event.ts";
import { endAccessSql, type RevocationCause } from "../revocations/revocations.ts";

/** Ends the sessions of which `gone` deletes the rows, and says so: $1 project, $2 time, $3 until when verifiers have to know of it. */
const endSql = (gone: string, cause: RevocationCause, event: { type: string; id: string; data: string }): string => `
  with gone as (${gone}
  ), ended as (${endAccessSql({
    from: "gone",
    projectId: "$1::uuid",
    subject: { sessionId: "gone.id" },
    cause,
    forgetAfterTime: "$3::timestamptz",
    createTime: "$2::timestamptz",
  })}
  ), event as (${appendEventSql({
    from: "gone",
    projectId: "$1::uuid",
    id: event.id,
    type: event.type,
    userId: "gone.user_id",
    data: event.data,
    createTime: "$2::timestamptz",
    origin: ORIGIN_OF_ACT,
  })}
  ), audit as (${appendAuditSql({
    from: "gone",
    projectId: "$1::uuid",
    userId: "gone.user_id",
    target: "'session/' || gone.id",
    details: `'{"ended": "${cause}"}'::jsonb`,
    createTime: "$2::timestamptz",
  })})
  select id from gone`;

const ENDED = "jsonb_build_object('session_id', gone.id, 'user_id', gone.user_id)";

/** One session: $4 session, $5 its user (null: anyone), $6 event id. */
export const END_SESSION: RecordedStatement = recorded({
  name: "sessions_end",
  text: endSql(
    "delete from sessions s where s.project_id = $1 and s.id = $4 and ($5::uuid is null or s.user_id = $5) returning s.id, s.user_id",
    "SIGNED_OUT",
    { type: "session.ended", id: "$6::uuid", data: ENDED },
  ),
});

/** All sessions of the user of one but that one: $4 the one, $5 its user (null: anyone). */
export const END_OTHERS: RecordedStatement = recorded({
  name: "sessions_end_others",
  text: endSql(
    `delete from sessions s using sessions kept
     where kept.project_id = $1 and kept.id = $4 and ($5::uuid is null or kept.user_id = $5)
       and s.project_id = $1 and s.user_id = kept.user_id and s.id <> $4 returning s.id, s.user_id`,
    "SIGNED_OUT",
    { type: "session.ended", id: "gen_random_uuid()", data: ENDED },
  ),
});

/** A session of which a token that was used came back: $4 session, $5 number of the token, $6 event id. */
export const END_REUSED: RecordedStatement = recorded({
  name: "sessions_end_reused",
  text: endSql(
    "delete from sessions s where s.project_id = $1 and s.id = $4 and s.refresh_counter > $5::bigint returning s.id, s.user_id, s.refresh_counter",
    "REFRESH_REUSED",
    {
      type: "session.reuse_detected",
      id: "$6::uuid",
      data: "jsonb_build_object('session_id', gone.id, 'user_id', gone.user_id, 'tokens_behind', gone.refresh_counter - $5)",
    },
  ),
});
