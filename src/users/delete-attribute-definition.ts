import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { query, type Statement } from "../db/statement.ts";
import { MusterError } from "../errors.ts";
import type { DefineAttributePorts } from "./define-attribute.ts";
import type { ProjectScope } from "./find-user.ts";

/** Marks the definition, once all who are setting the attribute have committed; nobody sets it any more. $1 project, $2 key, $3 time. */
const BEGIN: Statement = {
  name: "attribute_definitions_begin_deletion",
  text: `
    with found as (
      select key, delete_time from attribute_definitions where project_id = $1 and key = $2 for update
    )
    update attribute_definitions d set delete_time = coalesce(d.delete_time, $3)
    from found where d.project_id = $1 and d.key = found.key
    returning d.key`,
};

/**
 * Removes the next values, in the order in which batches of users are written. Only while the definition is being deleted: one that
 * was made since then keeps its values. $1 project, $2 key, $3 time, $4 the external id to go on after.
 */
const REMOVE: Statement = {
  name: "attribute_definitions_remove_values",
  text: `
    with doomed as materialized (
      select key from attribute_definitions where project_id = $1 and key = $2 and delete_time is not null for key share
    ), batch as materialized (
      select u.id from doomed, users u
      where u.project_id = $1 and u.external_id > $4 and u.attributes ? $2
      order by u.external_id limit 1000 for no key update of u
    )
    update users u set attributes = u.attributes - $2, update_time = $3, version = u.version + 1
    from batch where u.project_id = $1 and u.id = batch.id
    returning u.external_id as "externalId"`,
};

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
  scope: ProjectScope,
  key: string,
): Promise<void> {
  const begun = await query(db.pool, BEGIN, [scope.projectId, key, new Date(clock.now())], scope.signal);
  attributes.forget(scope.projectId);
  if (begun.length === 0) throw new MusterError("ATTRIBUTE_DEFINITION_NOT_FOUND");
  await deleteValues({ db, clock }, scope, key);
}

/** Removes the values of a definition that is being deleted, and then the definition itself. */
export async function deleteValues(
  { db, clock }: { readonly db: Database; readonly clock: Clock },
  { projectId, signal }: ProjectScope,
  key: string,
): Promise<void> {
  for (let isLeft = true; isLeft; ) {
    for (let after: string | undefined = ""; after !== undefined; ) {
      const values = [projectId, key, new Date(clock.now()), after];
      const changed: { externalId: string }[] = await query(db.pool, REMOVE, values, signal);
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
