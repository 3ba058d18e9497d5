import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { pruneAudit } from "../../src/audit/prune-audit.ts";
import { verifyAudit } from "../../src/audit/verify-audit.ts";
import { testDatabase } from "../support/database.ts";
import { auditTrail, type Trail } from "./audit-fixture.ts";

const never = new AbortController().signal;
const DAY_MS = 86_400_000;
/** Entries of other tests would be due as well: each test has a database of its own. */
const freshTrail = async (keys?: Uint8Array[]) => auditTrail(await testDatabase(), keys);
const prune = (trail: Trail, retentionDays = 30) => pruneAudit({ ...trail, retentionDays }, never);

async function left(trail: Trail, project: string) {
  const { rows } = await trail.db.pool.query(
    `select (select count(*)::int from audit_entries where project_id = $1) as entries,
       array(select number::int from audit_seals where project_id = $1 order by number) as seals`,
    [project],
  );
  return rows[0];
}

/** A seal a day: of 2,500 entries (three seals), 1 and 1. */
async function daysOf(trail: Trail): Promise<string> {
  const project = trail.project();
  for (const count of [2_500, 1, 1]) {
    await trail.write(project, count);
    await trail.seal();
    await trail.clock.advance(DAY_MS);
  }
  return project;
}

test("entries go with their seals once the last of them is old enough, and the trail that stays is whole and says how many went", async () => {
  const trail = await freshTrail();
  const project = await daysOf(trail);
  await trail.clock.advance(27 * DAY_MS);
  await prune(trail);
  expect(await left(trail, project)).toEqual({ entries: 2_502, seals: [1, 2, 3, 4, 5] });
  await trail.clock.advance(1);
  await prune(trail);
  expect(await left(trail, project)).toEqual({ entries: 2, seals: [3, 4, 5] });
  expect(await verifyAudit(trail, project)).toMatchObject({ pruned: "2500", seals: 3, entries: 2, findingCount: 0 });
  await trail.clock.advance(DAY_MS);
  await prune(trail);
  expect(await verifyAudit(trail, project)).toMatchObject({ pruned: "2501", seals: 2, entries: 1, findingCount: 0 });
});

test("a trail of which all is gone goes on where it ended", async () => {
  const trail = await freshTrail();
  const project = await daysOf(trail);
  const { head } = await verifyAudit(trail, project);
  await trail.clock.advance(100 * DAY_MS);
  await prune(trail);
  expect(await left(trail, project)).toEqual({ entries: 0, seals: [5] });
  await trail.write(project);
  await trail.seal();
  const verified = await verifyAudit(trail, project, head && [head, { number: "2", hash: "0".repeat(64) }]);
  expect(verified).toMatchObject({ pruned: "2502", entries: 1, findingCount: 0, head: { number: "6" } });
});

test("entries are kept for good where no time is set", async () => {
  const trail = await freshTrail();
  const project = await daysOf(trail);
  await trail.clock.advance(1_000 * DAY_MS);
  await prune(trail, 0);
  expect(await left(trail, project)).toMatchObject({ entries: 2_502 });
});

test("what was changed does not go as if it were due: it stays, with all behind it, and other projects do not wait for it", async () => {
  const trail = await freshTrail();
  const [changed, whole] = [await daysOf(trail), await daysOf(trail)];
  await trail.db.pool.query(
    `update audit_entries set method = 'nothing'
     where project_id = $1 and sequence = (select sequence from audit_seals where project_id = $1 and number = 4)`,
    [changed],
  );
  await trail.clock.advance(100 * DAY_MS);
  await expect(prune(trail)).rejects.toThrow(
    `of 1 projects do not agree with their seals and are not removed: run muster audit verify (${changed})`,
  );
  expect(await left(trail, whole)).toEqual({ entries: 0, seals: [5] });
  expect((await left(trail, changed)).entries).toBeGreaterThan(0);
  expect((await verifyAudit(trail, changed)).findings).toMatchObject([{ kind: "entries_changed", seal: "4" }]);
});

test("who can only write the database cannot have the servers remove what is not due", async () => {
  const trail = await freshTrail();
  const project = await daysOf(trail);
  await trail.db.pool.query("update audit_seals set seal_time = seal_time - interval '1 year' where project_id = $1", [
    project,
  ]);
  await expect(prune(trail)).rejects.toThrow(project);
  expect(await left(trail, project)).toEqual({ entries: 2_502, seals: [1, 2, 3, 4, 5] });
});

test("what says that entries were removed cannot be changed, moved or taken back", async () => {
  const trail = await freshTrail();
  const project = await daysOf(trail);
  await trail.clock.advance(27 * DAY_MS + 1);
  await prune(trail);
  const kindsAfter = async (statement: string) => {
    await trail.db.pool.query("create table kept as select * from audit_seals");
    await trail.db.pool.query(`${statement} where project_id = $1 and number = 3`, [project]);
    const { findings } = await verifyAudit(trail, project);
    await trail.db.pool.query("truncate audit_seals");
    await trail.db.pool.query("insert into audit_seals select * from kept");
    await trail.db.pool.query("drop table kept");
    return findings.map(({ kind, seal }) => `${kind} ${seal}`);
  };
  expect(await kindsAfter("update audit_seals set pruned_entries = 1")).toContain("pruning_forged 3");
  expect(await kindsAfter("update audit_seals set pruned_entries = null")).toContain("pruning_forged 3");
  expect(await kindsAfter("update audit_seals set chain = digest")).toContain("pruning_forged 3");
  expect(await kindsAfter("update audit_seals set sequence = sequence + 1")).toContain("pruning_forged 3");
  expect(
    await kindsAfter(
      "update audit_seals set pruned_entries = null, prune_time = null, prune_key_id = null, prune_mac = null",
    ),
  ).toContain("seal_missing 3");
  expect(await kindsAfter("delete from audit_seals")).toContain("seal_missing 4");
  expect((await verifyAudit(trail, project)).findings).toEqual([]);
});

test("an entry that is put where others were removed is found, and stays as evidence", async () => {
  const trail = await freshTrail();
  const project = await daysOf(trail);
  await trail.clock.advance(27 * DAY_MS + 1);
  await prune(trail);
  await trail.db.pool.query(
    `insert into audit_entries (project_id, transaction_id, sequence, create_time, method, actor_kind) overriding system value
     values ($1, '3', 1, now(), 'UserService/DeleteUser', 'operator')`,
    [project],
  );
  await trail.clock.advance(100 * DAY_MS);
  await prune(trail);
  expect((await verifyAudit(trail, project)).findings).toMatchObject([
    { kind: "entries_unsealed", upTo: { transactionId: "3", sequence: "1" } },
  ]);
});

test("a trail is pruned over a rotation of the key, and two processes that prune at once do it once", async () => {
  const old = randomBytes(32);
  const trail = await freshTrail([old]);
  const project = await daysOf(trail);
  const rotated = { ...auditTrail(trail.db, [randomBytes(32), old]), clock: trail.clock };
  await trail.clock.advance(27 * DAY_MS + 1);
  await prune(trail);
  await trail.clock.advance(DAY_MS);
  await Promise.all([prune(rotated), prune(rotated), prune(rotated)]);
  expect(await verifyAudit(rotated, project)).toMatchObject({ pruned: "2501", findingCount: 0 });
});
