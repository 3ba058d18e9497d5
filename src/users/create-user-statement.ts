import type { Statement } from "../db/statement.ts";
import { appendEventSql } from "../events/append-event.ts";
import { PROFILE_COLUMNS } from "./profile.ts";
import { CREATED_EVENT, PROFILE_NAMES } from "./upsert-statements.ts";
import { AS_ROW, qualified } from "./user-statements.ts";

/**
 * A user made for its own sake: $1 project, $2 time, $3 id, which is its external id too, $4 event id, $5 whether it is a guest, then the
 * profile columns.
 */
export const CREATE_USER: Statement = {
  name: "users_create",
  text: `
    with written as (
      insert into users as u (project_id, id, external_id, guest, ${PROFILE_NAMES}, create_time, update_time)
      values ($1::uuid, $3::uuid, $3::uuid::text, $5::boolean,
        ${PROFILE_COLUMNS.map(({ type }, i) => `$${i + 6}::${type}`).join(", ")}, $2::timestamptz, $2::timestamptz)
      returning ${qualified("u")}
    ), event as (${appendEventSql({
      from: "written",
      projectId: "$1::uuid",
      id: "$4::uuid",
      type: "user.created",
      userId: "written.id",
      data: CREATED_EVENT,
      createTime: "$2::timestamptz",
    })})
    select ${AS_ROW} from written`,
};
