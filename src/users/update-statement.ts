import { appendAuditSql } from "../audit/append-audit.ts";
import { recorded } from "../db/recorded.ts";
import { PROFILE_COLUMNS } from "./profile.ts";
import { updatedEventSql } from "./user-events.ts";
import { AS_ROW, assignments, byKey, has, qualified } from "./user-statements.ts";

/**
 * Changes one user if it has the version (null: any), with `user.updated`: $1 project, $2 mask, $3 time, $4 identifier, $5 version, then the profile
 * columns, then the keys of the attributes to remove what the audit entry tells of the change, and the event id. Gives the user, and as `outcome` whether it was `changed`, was `unchanged` as
 * it should be, or was found `behind`: another transaction changed it while this one waited, and what is given is from before. One that has another version is
 * given as it is.
 */
export const UPDATE_USER = byKey((by) => {
  const parameter = (name: string) => {
    const i = PROFILE_COLUMNS.findIndex((profile) => profile.name === name);
    return `$${i + 6}::${PROFILE_COLUMNS[i]?.type}`;
  };
  const { set, changes } = assignments("$2::int", "$3::timestamptz", parameter, `$${PROFILE_COLUMNS.length + 6}`);
  const at = has(by, "$4");
  return recorded({
    name: `users_update_by_${by}`,
    text: `
      with written as (
        update users u set ${set} where u.${at} and ($5::int is null or u.version = $5) and ${changes}
        returning ${qualified("u")}
      ), event as (${updatedEventSql({ id: `$${PROFILE_COLUMNS.length + 8}::uuid`, createTime: "$3::timestamptz" })}
      ), audit as (${appendAuditSql({
        from: "written",
        projectId: "$1::uuid",
        userId: "written.id",
        details: `$${PROFILE_COLUMNS.length + 7}::jsonb`,
        createTime: "$3::timestamptz",
      })})
      select ${AS_ROW}, 'changed' as outcome from written
      union all
      select ${AS_ROW}, case when ${changes} then 'behind' else 'unchanged' end from users u where u.${at} and not exists (select from written)`,
  });
});
