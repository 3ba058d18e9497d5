import { expect, test } from "vitest";
import { testDatabase } from "../support/database.ts";

const db = await testDatabase();

interface ForeignKey {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly cascades: boolean;
}

/** Entities know nothing of each other, so foreign keys stand in the migrations alone. */
const { rows: foreignKeys } = await db.pool.query<ForeignKey>(`
  select conname as name, conrelid::regclass::text as from, confrelid::regclass::text as to, confdeltype = 'c' as cascades
  from pg_constraint where contype = 'f'`);

/** Tables that single statements alone read and write: without an entity there is no second description of them. */
const WITHOUT_ENTITY = [
  "presences",
  "user_attribute_index",
  "locators",
  "avatars",
  "avatar_removals",
  "passwords",
  "jobs",
  "revocations",
  "pending_suspensions",
  "sessions",
  "attempts",
  "password_resets",
  "external_jwts",
  "event_removals",
  "deliveries",
];

/** Triggers and functions are of the database alone; MikroORM would drop each that it did not make. */
const isRoutine = (statement: string) => /^drop (trigger|function) /.test(statement);

test("the schema that the migrations make is the one that the entities describe", async () => {
  const sql = await db.orm.schema.getUpdateSchemaSQL({ wrap: false });
  const isForeignKey = (statement: string) =>
    foreignKeys.some(({ name }) => statement.includes(`drop constraint "${name}"`));
  const hasNoEntity = (statement: string) =>
    WITHOUT_ENTITY.some((table) => statement === `drop table if exists "${table}" cascade`);
  const differences = sql
    .split(/;\s*/)
    .filter(
      (statement) => statement !== "" && !isForeignKey(statement) && !isRoutine(statement) && !hasNoEntity(statement),
    );
  expect(differences).toEqual([]);
});

test("what belongs to a project goes with it: every table hangs on projects by cascades, history, errands outside of it and jobs of all do not", async () => {
  const { rows } = await db.pool.query<{ name: string }>(
    "select tablename as name from pg_tables where schemaname = 'public'",
  );
  const goes = new Set(["projects"]);
  // Once per level that tables can hang below each other.
  for (const _ of foreignKeys)
    for (const { from, to, cascades } of foreignKeys) if (cascades && goes.has(to)) goes.add(from);
  const stays = rows.map(({ name }) => name).filter((name) => !goes.has(name));
  expect(stays.toSorted()).toEqual([
    "attempts",
    "audit_entries",
    "audit_seals",
    "avatar_removals",
    "events",
    "jobs",
    "migrations",
    "revocations",
  ]);
});

test("every table of a project starts its primary key and its unique indexes with project_id", async () => {
  const { rows } = await db.pool.query<{ index: string }>(`
    select i.indexrelid::regclass::text as index
    from pg_index i
    join pg_attribute project on project.attrelid = i.indrelid and project.attname = 'project_id'
    where i.indisunique and i.indkey[0] <> project.attnum and i.indrelid::regclass::text not like 'pg_%'`);
  // A credential names its key, or nothing, and not its project.
  expect(rows.map((row) => row.index).toSorted()).toEqual(["access_keys_id", "sessions_token_digest"]);
});
