import { LockMode } from "@mikro-orm/core";
import type { SqlEntityManager } from "@mikro-orm/postgresql";
import { appendAudit } from "../audit/append-audit.ts";
import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import type { WriteScope } from "../db/recorded.ts";
import { transaction } from "../db/transaction.ts";
import { invalid, MusterError } from "../errors.ts";
import { AttributeDefinitionEntity } from "./attribute-definition.entity.ts";
import { type AttributeDefinition, type AttributeDefinitions, definitionRecord } from "./attribute-definitions.ts";
import { definitionTarget, deleteValues } from "./delete-attribute-definition.ts";

/** A definition as a caller gives it. */
export type NewAttributeDefinition = Omit<AttributeDefinition, "createTime" | "updateTime">;

export interface DefineAttributePorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly attributes: AttributeDefinitions;
}

const MOST_DEFINITIONS = 100;
/** Users whose values are indexed by one statement. */
const BATCH = 5_000;

/**
 * Defines an attribute or changes its definition; values that users hold stay. What becomes filterable is indexed in the same
 * transaction: it is the definition that others wait for meanwhile, and no user. REQUEST_INVALID for a definition too many.
 */
export async function defineAttribute(
  { db, clock, attributes }: DefineAttributePorts,
  scope: WriteScope,
  input: NewAttributeDefinition,
): Promise<AttributeDefinition> {
  for (;;) {
    const defined = await transaction(db, scope, (em) => define(em, scope, input, new Date(clock.now())));
    attributes.forget(scope.projectId);
    if (defined) return defined;
    // The one before is being deleted: none of its values may come up under the new one.
    await deleteValues({ db, clock }, scope, input.key);
  }
}

/** The definition as it is now; undefined: the values of the one before are still to go. */
async function define(
  em: SqlEntityManager,
  { projectId, act }: WriteScope,
  input: NewAttributeDefinition,
  now: Date,
): Promise<AttributeDefinition | undefined> {
  // One at a time, so that they are counted right. Users come and go meanwhile.
  const project = await em.execute("select 1 from projects where id = ? for no key update", [projectId]);
  if (project.length === 0) throw new MusterError("PROJECT_NOT_FOUND");
  const lock = { lockMode: LockMode.PESSIMISTIC_WRITE };
  const before = await em.findOne(AttributeDefinitionEntity, { projectId, key: input.key }, lock);
  if (before?.deleteTime) return undefined;
  if (!before && (await em.count(AttributeDefinitionEntity, {})) >= MOST_DEFINITIONS)
    throw invalid("definition.key", `the project defines ${MOST_DEFINITIONS} attributes already`);
  const wasFilterable = before?.filterable ?? input.filterable;
  const columns = {
    ...input,
    contentTypes: [...input.contentTypes],
    readers: [...input.readers],
    writers: [...input.writers],
  };
  const definition =
    before ??
    em.create(AttributeDefinitionEntity, { projectId, createTime: now, updateTime: now, deleteTime: null, ...columns });
  em.assign(definition, { ...columns, updateTime: now });
  em.persist(definition);
  await em.flush();
  const target = definitionTarget(input.key);
  await appendAudit(em, act, { projectId, target, details: { created: !before }, createTime: now });
  if (wasFilterable && !input.filterable) await emptyIndex(em, projectId, input.key);
  if (!wasFilterable && input.filterable) await fillIndex(em, projectId, input.key);
  return definitionRecord(definition);
}

const emptyIndex = (em: SqlEntityManager, projectId: string, key: string) =>
  em.execute("delete from user_attribute_index where project_id = ? and key = ?", [projectId, key]);

/** Writers of this attribute wait for the definition, so what is read here is what is there. */
async function fillIndex(em: SqlEntityManager, projectId: string, key: string): Promise<void> {
  for (let after: string | undefined = ""; after !== undefined; ) {
    const rows: { external_id: string }[] = await em.execute(
      `with batch as materialized (
        select id, external_id, left(attributes -> ?::text ->> 'text', 256) as value, create_time from users
        where project_id = ?::uuid and external_id > ? and jsonb_exists(attributes, ?) order by external_id limit ${BATCH}
      ), indexed as (
        insert into user_attribute_index (project_id, user_id, key, value, create_time)
        select ?::uuid, id, ?::text, value, create_time from batch
      )
      select external_id from batch order by external_id offset ${BATCH - 1}`,
      [key, projectId, after, key, projectId, key],
    );
    after = rows.at(-1)?.external_id;
  }
}
