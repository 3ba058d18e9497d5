import { expect, test } from "vitest";
import { placeAfterRestore } from "../../src/audit/place-after-restore.ts";
import { verifyAudit } from "../../src/audit/verify-audit.ts";
import type { Database } from "../../src/db/orm.ts";
import { testDatabase } from "../support/database.ts";
import { auditTrail, type Trail } from "./audit-fixture.ts";

/** As a server whose transactions are numbered higher would have written and sealed: three entries, one of them not sealed. */
async function written(trail: Trail): Promise<string> {
  const project = trail.project();
  const { db } = trail;
  await db.pool.query(
    "create or replace function audit_place(id xid8) returns xid8 immutable language sql return (id::text::numeric + 5000000000)::text::xid8",
  );
  await trail.write(project);
  await trail.write(project);
  await trail.seal();
  await trail.write(project);
  return project;
}

/** What a dump brings into a new database. */
async function restore(from: Database, to: Database): Promise<void> {
  for (const table of ["audit_entries", "audit_seals"]) {
    const { rows } = await from.pool.query(`select to_jsonb(t)::text as row from ${table} t`);
    const overriding = table === "audit_entries" ? "overriding system value" : "";
    const text = `insert into ${table} ${overriding} select (jsonb_populate_record(null::${table}, $1::jsonb)).*`;
    for (const { row } of rows) await to.pool.query(text, [row]);
  }
  await to.pool.query(
    "select setval('audit_entries_sequence_seq', coalesce((select max(sequence) from audit_entries), 1))",
  );
}

const placesOf = async (db: Database, project: string) =>
  (
    await db.pool.query(
      "select transaction_id::text as id from audit_entries where project_id = $1 order by transaction_id, sequence",
      [project],
    )
  ).rows.map(({ id }) => BigInt(id));

test("in a database that was restored into a server of lower transaction ids, the trail is whole and goes on", async () => {
  const [old, db] = [await testDatabase(), await testDatabase()];
  const key = Buffer.alloc(32, "seal");
  const project = await written(auditTrail(old, [key]));
  const trail = auditTrail(db, [key]);
  await restore(old, db);
  expect((await verifyAudit(trail, project)).findings).toMatchObject([{ kind: "entries_of_the_future" }]);
  expect(await placeAfterRestore(db)).toBe(true);
  expect(await placeAfterRestore(db)).toBe(false);
  await trail.write(project);
  await trail.seal();
  await trail.write(project);
  await trail.seal();
  const verified = await verifyAudit(trail, project);
  expect(verified).toMatchObject({ seals: 3, entries: 5, unsealed: 0, findingCount: 0 });
  const places = await placesOf(db, project);
  expect(places.slice(0, 3)).toEqual(await placesOf(old, project));
  expect(places).toEqual(places.toSorted((one, other) => (one < other ? -1 : 1)));
});

test("an export tells of restored entries, of those since then, and of none that is not committed", async () => {
  const [old, db] = [await testDatabase(), await testDatabase()];
  const project = await written(auditTrail(old));
  const trail = auditTrail(db);
  await restore(old, db);
  await placeAfterRestore(db);
  await trail.write(project);
  const snapshot = async () => (await db.pool.query("select pg_current_snapshot()::text as it")).rows[0].it;
  const visibleIn = async (it: string) => {
    const text = `select 1 from audit_entries where project_id = $1 and pg_visible_in_snapshot(audit_transaction(transaction_id), $2::pg_snapshot)`;
    return (await db.pool.query(text, [project, it])).rows.length;
  };
  const running = await db.pool.connect();
  await running.query("begin");
  await trail.write(project, 1, running);
  const before = await snapshot();
  await running.query("commit");
  running.release();
  expect(await visibleIn(before)).toBe(4);
  expect(await visibleIn(await snapshot())).toBe(5);
});

test("nothing is placed anew where nothing was restored, whatever somebody inserts into the future", async () => {
  const db = await testDatabase();
  expect(await placeAfterRestore(db)).toBe(false);
  const trail = auditTrail(db);
  const project = trail.project();
  await trail.write(project);
  await trail.seal();
  expect(await placeAfterRestore(db)).toBe(false);
  await db.pool.query(
    `insert into audit_entries (project_id, transaction_id, create_time, method, actor_kind) values ($1, '9000000000000', now(), 'a', 'operator')`,
    [project],
  );
  expect(await placeAfterRestore(db)).toBe(false);
  expect((await verifyAudit(trail, project)).findings).toMatchObject([{ kind: "entries_of_the_future" }]);
});
