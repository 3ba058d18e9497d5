import { appendAuditSql } from "../audit/append-audit.ts";
import { type RecordedStatement, recorded } from "../db/recorded.ts";
import { endAccessSql, validFromSql } from "../revocations/revocations.ts";
import { keepPasswordSql } from "./passwords/password-statements.ts";
import { PROFILE_COLUMNS } from "./profile.ts";
import { createdEventSql, createdOrUpdatedEventSql, IS_NEWS } from "./user-events.ts";
import { AS_ROW, assignments, qualified } from "./user-statements.ts";

const NAMES = PROFILE_COLUMNS.map(({ name }): string => name);
/** The columns that callers write, as an insert names them. */
export const PROFILE_NAMES = NAMES.join(", ");

/**
 * The moment from which on all is to be refused that was there before: the next full second of now, by the server's clock. It is asked
 * under the lock of the user's row; for how long the statement has waited for that, the database knows.
 */
const BEFORE_TIME =
  "date_trunc('second', $3::timestamptz + (clock_timestamp() - statement_timestamp())) + interval '1 second'";

/**
 * What the statements that keep passwords have besides: those that are not there yet, who gets them, and the end of what was signed in
 * by another one.
 */
const PASSWORDS = {
  // Row by row, along unique indexes: a join would read all users of the project while the statistics take the table for small.
  replaced: `replaced as materialized (
      select * from (
        select i.external_id, (
          select (select p.imported and p.phc = i.password_hash from passwords p where p.project_id = $1 and p.user_id = x.id)
          from users x where x.project_id = $1 and x.external_id = i.external_id) as is_same
        from input i where i.password_hash is not null) given
      where is_same is not true
    ), ending as materialized (select external_id from replaced where is_same is not null),`,
  isReplaced: "or u.external_id in (select external_id from replaced)",
  set: `, tokens_valid_from = case when u.external_id in (select external_id from ending)
        then ${validFromSql("u", BEFORE_TIME)} else u.tokens_valid_from end`,
  kept: (forgetAfterTime: string) =>
    `, kept as (${keepPasswordSql({
      from: "written join replaced using (external_id) join input using (external_id)",
      projectId: "$1::uuid",
      userId: "written.id",
      phc: "input.password_hash",
      imported: "true",
      time: "$3::timestamptz",
    })}), ended as (${endAccessSql({
      from: "written join ending using (external_id)",
      where: "not written.created",
      projectId: "$1::uuid",
      subject: { userId: "written.id", beforeTime: "written.tokens_valid_from" },
      cause: "PASSWORD_CHANGED",
      forgetAfterTime: `${forgetAfterTime}::timestamptz`,
      createTime: "$3::timestamptz",
    })})`,
};

interface UpsertParts {
  readonly input: string;
  readonly source: string;
  readonly externalIds: string;
  /** The value that a column of `u` is to have; undefined: it is not asked whether one that is not written is as it should be. */
  readonly wanted: ((column: string) => string) | undefined;
  readonly eventFrom: string;
  readonly eventId: string;
  readonly removed: string;
  /** Where the time is after which the end of access may be forgotten; undefined: no passwords are kept. */
  readonly forgetAfterTime: string | undefined;
  /** What an audit entry tells of a user that was there. */
  readonly details: string;
}

/**
 * Inserts or updates, with the event of each, in one statement. Gives a row per user; none for a user that another
 * transaction made after this statement began and that is already as it should be: the caller then runs it again. `behind` is one that another
 * transaction changed in that time so that it is as it should be; what is given is from before, and the caller runs it again as well.
 * $1 project, $2 mask, $3 time.
 */
function upsertSql({ forgetAfterTime, wanted, ...parts }: UpsertParts) {
  const passwords = forgetAfterTime !== undefined;
  const toward = (incoming: (column: string) => string) =>
    assignments("$2::int", "excluded.update_time", incoming, parts.removed);
  const { set, changes } = toward((name) => `excluded.${name}`);
  const behind = wanted && `case when ${toward(wanted).changes} then 'behind' else 'unchanged' end`;
  return `
    with ${parts.input} ${passwords ? PASSWORDS.replaced : ""} written as (
      insert into users as u (project_id, id, external_id, ${PROFILE_NAMES}, create_time, update_time)
      ${parts.source}
      on conflict (project_id, external_id) do update set ${set}${passwords ? PASSWORDS.set : ""} where ${changes} ${passwords ? PASSWORDS.isReplaced : ""}
      returning ${qualified("u")}, u.tokens_valid_from, u.xmax = 0 as created
    ) ${passwords ? PASSWORDS.kept(forgetAfterTime) : ""}, event as (${createdOrUpdatedEventSql({
      from: parts.eventFrom,
      // What writes no password writes no user that is as it should be.
      ...(passwords && { where: `written.created or ${IS_NEWS}` }),
      id: parts.eventId,
      createTime: "$3::timestamptz",
    })}), audit as (${appendAuditSql({
      from: "written",
      projectId: "$1::uuid",
      userId: "written.id",
      details: `case when written.created then '{"created": true}' else ${parts.details}::jsonb end`,
      createTime: "$3::timestamptz",
    })})
    select ${AS_ROW}, case when created then 'created' else 'changed' end as outcome from written
    union all
    select ${AS_ROW}, ${behind ?? "'unchanged'"} from users u
    where project_id = $1 and external_id = any(${parts.externalIds})
      and not exists (select from written where written.external_id = u.external_id)`;
}

const AFTER_PROFILE = PROFILE_COLUMNS.length + 7;

function upsertUser({ mayCreate, passwords }: { mayCreate: boolean; passwords: boolean }): RecordedStatement {
  const input = `input as materialized (select $5::text as external_id, $${AFTER_PROFILE + 2}::text as password_hash),`;
  // The lock keeps a user there until the end of the statement, which otherwise might make it anew.
  const held = "held as (select from users where project_id = $1 and external_id = $5 for update),";
  const given = PROFILE_COLUMNS.map(({ type }, i) => `$${i + 7}::${type}`);
  const profile = given.join(", ");
  return recorded({
    name: `users_upsert${mayCreate ? "" : "_existing"}${passwords ? "_with_password" : ""}`,
    text: upsertSql({
      input: (passwords ? input : "") + (mayCreate ? "" : held),
      source: `select $1::uuid, $4::uuid, $5::text, ${profile}, $3::timestamptz, $3::timestamptz
        ${mayCreate ? "" : "where exists (select from held)"}`,
      externalIds: "array[$5::text]",
      wanted: (column) => given[NAMES.indexOf(column)] ?? "",
      eventFrom: "written",
      eventId: "$6::uuid",
      removed: `$${AFTER_PROFILE}`,
      forgetAfterTime: passwords ? `$${AFTER_PROFILE + 3}` : undefined,
      details: `$${AFTER_PROFILE + 1}`,
    }),
  });
}

/**
 * One user: $4 id, $5 external id, $6 event id, then the profile columns, then the keys of the attributes to remove and what an audit
 * entry tells of a change; `withPassword` then
 * takes the hash and the time after which an end of access may be forgotten. `existing` writes a user that is there, and makes none.
 */
export const UPSERT_USER = {
  plain: upsertUser({ mayCreate: true, passwords: false }),
  withPassword: upsertUser({ mayCreate: true, passwords: true }),
  existing: upsertUser({ mayCreate: false, passwords: false }),
  existingWithPassword: upsertUser({ mayCreate: false, passwords: true }),
} as const;

/** Users as a JSON array, as a part of a `with`. */
function inputSql(json: string, passwords: boolean): string {
  const columns = PROFILE_COLUMNS.map(({ name, type }) => `${name} ${type}`).join(", ");
  return `input as materialized (select * from jsonb_to_recordset(${json}::jsonb) as r(id uuid, external_id text, event_id uuid,
    ${columns}${passwords ? ", password_hash text" : ""})),`;
}

function upsertUsers({ passwords }: { passwords: boolean }): RecordedStatement {
  return recorded({
    name: `users_upsert_many${passwords ? "_with_passwords" : ""}`,
    text: upsertSql({
      input: inputSql("$4", passwords),
      source: `select $1::uuid, id, external_id, ${PROFILE_NAMES}, $3::timestamptz, $3::timestamptz from input
        order by external_id collate "C"`,
      externalIds: "array(select external_id from input)",
      wanted: undefined,
      eventFrom: "written join input using (external_id)",
      eventId: "input.event_id",
      removed: "$5",
      forgetAfterTime: passwords ? "$7" : undefined,
      details: "$6",
    }),
  });
}

/**
 * Many users of one mask, each once: $4 a JSON array of {id, external_id, event_id, …profile columns}, `withPasswords` of
 * {…, password_hash} too, $5 the keys of the attributes to remove, $6 what an audit entry tells of a change; $7 as `withPassword` takes it. Locks in the order of external ids.
 */
export const UPSERT_USERS = {
  plain: upsertUsers({ passwords: false }),
  withPasswords: upsertUsers({ passwords: true }),
} as const;

function insertUsers({ passwords }: { passwords: boolean }): RecordedStatement {
  const time = "$2::timestamptz";
  const kept = keepPasswordSql({
    from: "written join input using (external_id) where input.password_hash is not null",
    projectId: "$1::uuid",
    userId: "written.id",
    phc: "input.password_hash",
    imported: "true",
    time,
  });
  return recorded({
    name: `users_insert_many${passwords ? "_with_passwords" : ""}`,
    text: `
      with ${inputSql("$3", passwords)} written as (
        insert into users as u (project_id, id, external_id, ${PROFILE_NAMES}, create_time, update_time)
        select $1::uuid, id, external_id, ${PROFILE_NAMES}, ${time}, ${time} from input
        where (select true from users x where x.project_id = $1 and x.external_id = input.external_id) is null
        order by external_id collate "C"
        on conflict do nothing
        returning ${qualified("u")}
      ) ${passwords ? `, kept as (${kept})` : ""}, event as (${createdEventSql({
        from: "written join input using (external_id)",
        id: "input.event_id",
        createTime: time,
      })}), audit as (${appendAuditSql({
        from: "written",
        projectId: "$1::uuid",
        userId: "written.id",
        details: "'{\"created\": true}'::jsonb",
        createTime: time,
      })})
      select ${AS_ROW}, 'created' as outcome from written`,
  });
}

/**
 * Many users, each once, as far as they are new and have no login or address of another one: it gives those that were made.
 * $2 time, $3 a JSON array as `UPSERT_USERS` takes it. What they leave out takes its default, so they need no mask in common.
 */
export const INSERT_USERS = {
  plain: insertUsers({ passwords: false }),
  withPasswords: insertUsers({ passwords: true }),
} as const;
