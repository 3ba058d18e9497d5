import { randomBytes } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { expect, test } from "vitest";
import { sealAudit } from "../../src/audit/seal-audit.ts";
import { testDatabase } from "../support/database.ts";
import { auditTrail } from "./audit-fixture.ts";

const db = await testDatabase();
const never = new AbortController().signal;

async function sealsOf(projectId: string) {
  const { rows } = await db.pool.query(
    "select number::int, entries, key_id, seal_time from audit_seals where project_id = $1 order by number",
    [projectId],
  );
  return rows;
}

test("entries are sealed in batches of at most 1,000, each project's in a chain of its own", async () => {
  const trail = auditTrail(db);
  const [one, other] = [trail.project(), trail.project()];
  await trail.write(one, 2_500);
  await trail.write(other, 3);
  await trail.seal();
  expect((await sealsOf(one)).map(({ number, entries }) => [number, entries])).toEqual([
    [1, 1_000],
    [2, 1_000],
    [3, 500],
  ]);
  await trail.seal();
  await trail.write(other);
  await trail.seal();
  expect((await sealsOf(other)).map(({ number, entries }) => [number, entries])).toEqual([
    [1, 3],
    [2, 1],
  ]);
});

test("what has much to seal keeps nobody from being sealed: each has its turn", async () => {
  const trail = auditTrail(db);
  const project = trail.project();
  await trail.write(project, 25_001);
  await trail.seal();
  expect(await sealsOf(project)).toHaveLength(26);
});

test("no entry is sealed before one that may yet be committed in front of it, and that one is sealed when it is", async () => {
  const trail = auditTrail(db);
  const project = trail.project();
  const late = await db.pool.connect();
  await late.query("begin");
  await trail.write(project, 1, late);
  await trail.write(project, 2);
  await sealAudit(trail, never);
  expect(await sealsOf(project)).toEqual([]);
  await late.query("commit");
  late.release();
  await trail.seal();
  expect(await sealsOf(project)).toMatchObject([{ number: 1, entries: 3 }]);
});

test("any number of processes seal at once while others write, and the chain has neither forks nor gaps", async () => {
  const trail = auditTrail(db);
  const project = trail.project();
  let done = false;
  const write = async () => {
    for (let count = 0; count < 40; count++) {
      const client = await db.pool.connect();
      await client.query("begin");
      await trail.write(project, 3, client);
      await wait(count % 7);
      await client.query(count % 5 === 0 ? "rollback" : "commit");
      client.release();
    }
  };
  const seal = async () => {
    while (!done) await sealAudit(trail, never);
  };
  const sealing = [seal(), seal(), seal()];
  await Promise.all([write(), write(), write()]);
  done = true;
  await Promise.all(sealing);
  await trail.seal();
  const seals = await sealsOf(project);
  expect(seals.map(({ number }) => number)).toEqual(seals.map((_, index) => index + 1));
  expect(seals.reduce((sum, { entries }) => sum + entries, 0)).toBe(3 * 32 * 3);
});

test("a seal names the key that it was made with: the first one", async () => {
  const [old, fresh] = [randomBytes(32), randomBytes(32)];
  const trail = auditTrail(db, [old]);
  const project = trail.project();
  await trail.write(project);
  await trail.seal();
  await trail.write(project);
  const rotated = auditTrail(db, [fresh, old]);
  await rotated.seal();
  expect((await sealsOf(project)).map(({ key_id }) => key_id)).toEqual([trail.keys.current, rotated.keys.current]);
});
