import { appendAuditSql } from "../audit/append-audit.ts";
import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { type RecordedStatement, recorded, type WriteScope, write } from "../db/recorded.ts";
import { query, type Statement } from "../db/statement.ts";
import { MusterError } from "../errors.ts";
import type { DefineAttributePorts } from "./define-attribute.ts";
import { updatedEventSql } from "./user-events.ts";
import { qualified } from "./user-statements.ts";

/** What an audit entry calls a definition by. */
export const definitionTarget = (key: string): string => `attribute_definition/${key}`;
const targetSql = (key: string): string => `'${definitionTarget("")}' || ${key}`;

/** Marks the definition, once all who are setting the attribute have committed; nobody sets it any more. $1 project, $2 key, $3 time. */
const BEGIN: RecordedStatement = recorded({
  name: "attribute_definitions_begin_deletion",
  text: `
    with found as (
      select key, delete_time from attribute_definitions where project_id = $1 and key = $2 for update
    ), begun as (
      update attribute_definitions d set delete_time = $3
      from found where d.project_id = $1 and d.key = found.key and found.delete_time is null
      returning d.key
    ), audit as (${appendAuditSql({
      from: "begun",
      projectId: "$1::uuid",
      target: targetSql("begun.key"),
      createTime: "$3::timestamptz",
    })})
    select key from found`,
});

/**
 * Removes the next values, each with `user.updated`, in the order in which batches of users are written. Only while the definition is being deleted: one that
 * was made since then keeps its values. $1 project, $2 key, $3 time, $4 the external id to go on after.
 */
const REMOVE: RecordedStatement = recorded({
  name: "attribute_definitions_remove_values",
  text: `
    with doomed as materialized (
      select key from attribute_definitions where project_id = $1 and key = $2 and delete_time is not null for key share
    ), batch as materialized (
      select u.id from doomed, users u
      where u.project_id = $1 and u.external_id > $4 and u.attributes ? $2
      order by u.external_id limit 1000 for no key update of u
    ), written as (
      update users u set attributes = u.attributes - $2, update_time = $3, version = u.version + 1
      from batch where u.project_id = $1 and u.id = batch.id
      returning ${qualified("u")}
    ), event as (${updatedEventSql({ id: "gen_random_uuid()", createTime: "$3::timestamptz" })}
    ), audit as (${appendAuditSql({
      from: "written",
      projectId: "$1::uuid",
      userId: "written.id",
      target: targetSql("$2::text"),
      details: `'{"changed": ["attributes"]}'::jsonb`,
      createTime: "$3::timestamptz",
    })})
    select external_id as "externalId" from written`,
});

/**
 * Deletes the definition once no value is left; gives a row where there still is one: another call took it from this one's batch
 * and has not come to those after it. $1 project, $2 key.
 */
const END: Statement = {
  name: "attribute_definitions_end_deletion",
  text: `
    with ended as (
      delete from attribute_definitions where project_id = $1 and key = $2 and delete_time is not null
        and not exists (select from users where project_id = $1 and attributes ? $2)
      returning key
    )
    select key from attribute_definitions
    where project_id = $1 and key = $2 and delete_time is not null and not exists (select from ended)`,
};

/**
 * Deletes a definition and every value of it. From its first statement on nobody can set the attribute; the values then go 1,000
 * users at a time, so that no user is held for long: a million of them in one transaction would stop every change of them for as
 * long as it takes. Where it breaks off, the next call goes on. ATTRIBUTE_DEFINITION_NOT_FOUND.
 */
export async function deleteAttributeDefinition(
  { db, clock, attributes }: DefineAttributePorts,
  scope: WriteScope,
  key: string,
): Promise<void> {
  const begun = await write(db, scope, BEGIN, [scope.projectId, key, new Date(clock.now())]);
  attributes.forget(scope.projectId);
  if (begun.length === 0) throw new MusterError("ATTRIBUTE_DEFINITION_NOT_FOUND");
  await deleteValues({ db, clock }, scope, key);
}

/** Removes the values of a definition that is being deleted, and then the definition itself. */
export async function deleteValues(
  { db, clock }: { readonly db: Database; readonly clock: Clock },
  scope: WriteScope,
  key: string,
): Promise<void> {
  const { projectId, signal } = scope;
  for (let isLeft = true; isLeft; ) {
    for (let after: string | undefined = ""; after !== undefined; ) {
      const values = [projectId, key, new Date(clock.now()), after];
      const changed: { externalId: string }[] = await write(db, scope, REMOVE, values);
      after = changed
        .map(({ externalId }) => externalId)
        .toSorted(inBytes)
        .at(-1);
    }
    isLeft = (await query(db.pool, END, [projectId, key], signal)).length > 0;
  }
}

/** The order of collation "C". */
const inBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
