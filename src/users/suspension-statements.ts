import type { Statement } from "../db/statement.ts";
import { appendEventSql } from "../events/append-event.ts";
import { AS_ROW, qualified } from "./user-statements.ts";

/**
 * Takes a suspension away and says so; gives no row where there is none: $1 project, $2 time, $3 user, $4 event id, $5 id of
 * the suspension. Of any number of calls that race for one, the first to have the row writes: the others find it without.
 */
export const LIFT_SUSPENSION: Statement = {
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
      delete from pending_suspensions where project_id = $1 and id = $5::uuid
    ), event as (${appendEventSql({
      from: "written cross join found",
      projectId: "$1::uuid",
      id: "$4::uuid",
      type: "user.suspension_lifted",
      userId: "written.id",
      data: "jsonb_build_object('user_id', written.id, 'external_id', written.external_id, 'suspension', found.suspension)",
      createTime: "$2::timestamptz",
    })})
    select ${AS_ROW} from written`,
};
