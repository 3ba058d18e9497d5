import { appendAuditSql } from "../audit/append-audit.ts";
import { type RecordedStatement, recorded } from "../db/recorded.ts";
import { keepPasswordSql } from "./passwords/password-statements.ts";
import { PROFILE_COLUMNS } from "./profile.ts";
import { PROFILE_NAMES } from "./upsert-statements.ts";
import { createdEventSql, updatedEventSql } from "./user-events.ts";
import { AS_ROW, assignments, qualified } from "./user-statements.ts";

/** Gives the users of `written` their password. */
const passwordSql = (phc: string, time: string) =>
  keepPasswordSql({
    from: `written where ${phc}::text is not null`,
    projectId: "$1::uuid",
    userId: "written.id",
    phc: `${phc}::text`,
    imported: "false",
    time: `${time}::timestamptz`,
  });

/**
 * The SQL of what else a statement does for a user it makes, which `written` has: `parameter(0)` is the first one beyond those of the user. What reads
 * from `event` comes after `user.created`.
 */
export type AlsoSql = (parameter: (index: number) => string) => string;

const AFTER_PROFILE = PROFILE_COLUMNS.length + 7;

/**
 * A user made for its own sake: $1 project, $2 time, $3 id, which is its external id too, $4 event id, $5 whether it is a guest, $6 the hash of
 * its password (null: none), then the profile columns, then what `also` takes: further parts of the `with`.
 */
export const newUserStatement = (name: string, also: AlsoSql = () => ""): RecordedStatement =>
  recorded({
    name,
    text: `
    with written as (
      insert into users as u (project_id, id, external_id, guest, ${PROFILE_NAMES}, create_time, update_time)
      values ($1::uuid, $3::uuid, $3::uuid::text, $5::boolean,
        ${PROFILE_COLUMNS.map(({ type }, i) => `$${i + 7}::${type}`).join(", ")}, $2::timestamptz, $2::timestamptz)
      returning ${qualified("u")}
    ), kept as (${passwordSql("$6", "$2")}
    ), event as (${createdEventSql({ id: "$4::uuid", createTime: "$2::timestamptz" })} returning 'user.created' as told), audit as (${appendAuditSql(
      {
        from: "written",
        projectId: "$1::uuid",
        userId: "written.id",
        details: "'{\"created\": true}'::jsonb",
        createTime: "$2::timestamptz",
      },
    )}) ${also((index) => `$${AFTER_PROFILE + index}`)}
    select ${AS_ROW} from written`,
  });

/** A user, and nothing else. */
export const CREATE_USER = newUserStatement("users_create");

/**
 * A guest that becomes a full user: $1 project, $2 mask, $3 time, $4 id, $5 the hash of its password, then the profile columns, then the keys
 * of the attributes to remove, what its audit entry tells of the change, and the event id. Gives no row for one that is no guest.
 */
export const PROMOTE_GUEST: RecordedStatement = (() => {
  const parameter = (name: string) => {
    const i = PROFILE_COLUMNS.findIndex((profile) => profile.name === name);
    return `$${i + 6}::${PROFILE_COLUMNS[i]?.type}`;
  };
  const { set } = assignments("$2::int", "$3::timestamptz", parameter, `$${PROFILE_COLUMNS.length + 6}`);
  return recorded({
    name: "users_promote_guest",
    text: `
      with written as (
        update users u set ${set}, guest = false where u.project_id = $1 and u.id = $4 and u.guest returning ${qualified("u")}
      ), kept as (${passwordSql("$5", "$3")}
      ), event as (${updatedEventSql({ id: `$${PROFILE_COLUMNS.length + 8}::uuid`, createTime: "$3::timestamptz" })}
      ), audit as (${appendAuditSql({
        from: "written",
        projectId: "$1::uuid",
        userId: "written.id",
        details: `$${PROFILE_COLUMNS.length + 7}::jsonb`,
        createTime: "$3::timestamptz",
      })})
      select ${AS_ROW} from written`,
  });
})();
