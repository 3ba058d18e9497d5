import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { ENTRY_COLUMNS } from "../../src/audit/entry-content.ts";
import { createSealKeys } from "../../src/audit/seal-keys.ts";
import { auditedProjects, verifyAudit } from "../../src/audit/verify-audit.ts";
import { collectedMemory } from "../support/collected-memory.ts";
import { testDatabase } from "../support/database.ts";
import { auditTrail } from "./audit-fixture.ts";

const db = await testDatabase();
const keys = [randomBytes(32)];
const trail = auditTrail(db, keys);

/** A project of three seals: of 1,000, 5 and 2 entries. */
async function sealedProject(): Promise<string> {
  const project = trail.project();
  await trail.write(project, 1_005);
  await trail.seal();
  await trail.write(project, 2);
  await trail.seal();
  return project;
}

const verify = (project: string) => verifyAudit(trail, project);
const kindsOf = async (project: string) =>
  (await verify(project)).findings.map(({ kind, seal }) => (seal === undefined ? kind : `${kind} ${seal}`));

/** One entry of the second seal. */
const ENTRY = "project_id = $1 and sequence = (select sequence from audit_seals where project_id = $1 and number = 2)";

test("a trail that nobody touched is whole, with what is not sealed yet, and names its end", async () => {
  const project = await sealedProject();
  await trail.write(project, 4);
  const verified = await verify(project);
  expect(verified).toMatchObject({
    seals: 3,
    entries: 1_007,
    unsealed: 4,
    sealedLate: 0,
    pruned: "0",
    findingCount: 0,
  });
  expect(verified.head).toEqual({ number: "3", hash: expect.stringMatching(/^[0-9a-f]{64}$/) });
});

const CHANGES: Record<string, string> = {
  project_id: "'01900000-0000-7000-8000-000000000000'",
  transaction_id: "'1'",
  sequence: "default",
  create_time: "create_time + interval '1 microsecond'",
  method: "'UserService/DeleteUser'",
  actor_kind: "'operator'",
  actor_id: "'key-2'",
  address: "'192.0.2.8'",
  request_id: "null",
  origin: "''",
  user_id: "gen_random_uuid()",
  target: "'token/2'",
  details: `'{"fields": ["name"], "created": true}'`,
};

test("every column of an entry is sealed", async () => {
  const { rows } = await db.pool.query(
    "select column_name as name from information_schema.columns where table_name = 'audit_entries' order by 1",
  );
  const columns = rows.map(({ name }) => name);
  expect(ENTRY_COLUMNS.toSorted()).toEqual(columns);
  expect(Object.keys(CHANGES).toSorted()).toEqual(columns);
});

test.each(Object.entries(CHANGES))("a change of %s is found, in the seal that it is in", async (column, value) => {
  const project = await sealedProject();
  await db.pool.query(`update audit_entries set ${column} = ${value} where ${ENTRY}`, [project]);
  const { findings } = await verify(project);
  expect(findings).toContainEqual(expect.objectContaining({ kind: "entries_changed", seal: "2", projectId: project }));
});

test("text that moves from one column to the next is found", async () => {
  const project = await sealedProject();
  await db.pool.query(`update audit_entries set method = method || 's', actor_kind = 'ystem' where ${ENTRY}`, [
    project,
  ]);
  expect(await kindsOf(project)).toEqual(["entries_changed 2"]);
});

/** A copy of the entry at the end of the second seal, somewhere else. */
const insertAt = (place: string) => `
  insert into audit_entries (project_id, transaction_id, sequence, create_time, method, actor_kind) overriding system value
  select project_id, ${place}, create_time, method, actor_kind from audit_entries where ${ENTRY}`;

test.each([
  ["an entry is removed", `delete from audit_entries where ${ENTRY}`, ["entries_changed 2"]],
  [
    "all entries are removed",
    "delete from audit_entries where project_id = $1",
    ["entries_changed 1", "entries_changed 2", "entries_changed 3"],
  ],
  ["an entry is inserted in the middle", insertAt("transaction_id, sequence - 1000000"), ["entries_changed 1"]],
  ["an entry is inserted before all others", insertAt("'0', 0"), ["entries_unsealed"]],
  ["an entry is inserted at a negative place", insertAt("'0', -5"), ["entries_unsealed"]],
  ["an entry is inserted into the future", insertAt("'18446744073709551615', 9"), ["entries_of_the_future"]],
  [
    "a seal is changed",
    "update audit_seals set seal_time = seal_time - interval '1 year' where project_id = $1 and number = 2",
    ["seal_changed 2"],
  ],
  [
    "the times of entries in a seal are changed",
    "update audit_seals set first_time = first_time - interval '1 day' where project_id = $1 and number = 1",
    ["seal_changed 1"],
  ],
  [
    "the chain of a seal is changed",
    "update audit_seals set chain = digest where project_id = $1 and number = 2",
    ["seal_changed 2"],
  ],
  [
    "the key of a seal is changed",
    "update audit_seals set key_id = '00000000' where project_id = $1 and number = 2",
    ["key_unknown 2"],
  ],
  [
    "the reach of a seal is changed",
    "update audit_seals set sequence = sequence - 1 where project_id = $1 and number = 2",
    ["seal_changed 2", "entries_changed 2", "entries_changed 3"],
  ],
  [
    "the first seal is removed",
    "delete from audit_seals where project_id = $1 and number = 1",
    ["seal_missing 2", "entries_changed 2"],
  ],
  [
    "a seal in the middle is removed",
    "delete from audit_seals where project_id = $1 and number = 2",
    ["seal_missing 3", "entries_changed 3"],
  ],
  [
    "a seal is told to be pruned",
    "update audit_seals set pruned_entries = 1000, prune_time = seal_time, prune_key_id = key_id, prune_mac = digest where project_id = $1 and number = 1",
    ["pruning_forged 1"],
  ],
  [
    "a seal in the middle is told to be pruned",
    "update audit_seals set pruned_entries = 1000, prune_time = seal_time, prune_key_id = key_id, prune_mac = digest where project_id = $1 and number = 2",
    ["pruning_forged 2"],
  ],
  [
    "a seal of nothing is added",
    "insert into audit_seals select project_id, 4, transaction_id, sequence, 0, first_time, last_time, digest, chain, key_id, seal_time from audit_seals where project_id = $1 and number = 3",
    ["seal_changed 4", "entries_changed 4"],
  ],
])("it is found when %s", async (_, statement, findings) => {
  const project = await sealedProject();
  await db.pool.query(statement, [project]);
  expect(await kindsOf(project)).toEqual(expect.arrayContaining(findings));
  expect((await verify(project)).findingCount).toBeGreaterThanOrEqual(findings.length);
});

test("it is found when seals change places, and when one comes from another project", async () => {
  const [project, other] = [await sealedProject(), await sealedProject()];
  await db.pool.query("update audit_seals set number = number + 10 where project_id = $1 and number in (2, 3)", [
    project,
  ]);
  await db.pool.query("update audit_seals set number = 15 - number where project_id = $1 and number > 3", [project]);
  expect(await kindsOf(project)).toEqual(expect.arrayContaining(["seal_changed 2", "seal_changed 3"]));
  await db.pool.query("delete from audit_seals where project_id = $1 and number = 1", [project]);
  await db.pool.query("update audit_seals set project_id = $1 where project_id = $2 and number = 1", [project, other]);
  expect(await kindsOf(project)).toContain("seal_changed 1");
  expect(await kindsOf(other)).toContain("seal_missing 2");
});

test("who writes the database and has no key cannot seal what was changed", async () => {
  const project = await sealedProject();
  await db.pool.query(`update audit_entries set method = 'nothing' where ${ENTRY}`, [project]);
  await db.pool.query("delete from audit_seals where project_id = $1", [project]);
  // Another key's seals name it, or pass themselves off as of the servers'.
  const forger = auditTrail(db);
  await forger.seal();
  expect(await kindsOf(project)).toEqual(["key_unknown 1", "key_unknown 2"]);
  await db.pool.query("update audit_seals set key_id = $2 where project_id = $1", [project, trail.keys.current]);
  expect(await kindsOf(project)).toEqual(expect.arrayContaining(["seal_changed 1", "seal_changed 2"]));
});

test("an end that was cut off is found by whoever knows where it was, and so is one that was made anew", async () => {
  const project = await sealedProject();
  const { head } = await verify(project);
  if (!head) throw new Error("nothing is sealed");
  expect((await verifyAudit(trail, project, [head])).findings).toEqual([]);
  await db.pool.query("delete from audit_seals where project_id = $1 and number = 3", [project]);
  await db.pool.query(
    "delete from audit_entries where project_id = $1 and sequence > (select sequence from audit_seals where project_id = $1 and number = 2)",
    [project],
  );
  expect(await kindsOf(project)).toEqual([]);
  expect((await verifyAudit(trail, project, [head])).findings).toMatchObject([{ kind: "end_missing", seal: "3" }]);
  await trail.write(project);
  await trail.seal();
  expect((await verifyAudit(trail, project, [head])).findings).toMatchObject([{ kind: "head_changed", seal: "3" }]);
  const gone = trail.project();
  expect((await verifyAudit(trail, gone, [head])).findings).toMatchObject([{ kind: "end_missing" }]);
});

test("a chain goes on when the key is rotated, and holds as long as its keys are there", async () => {
  const project = trail.project();
  const rotated = auditTrail(db, [randomBytes(32), ...keys]);
  await trail.write(project);
  await trail.seal();
  await trail.write(project);
  await rotated.seal();
  await trail.write(project);
  await rotated.seal();
  expect(await verifyAudit(rotated, project)).toMatchObject({ seals: 3, entries: 3, findingCount: 0 });
  expect(await kindsOf(project)).toEqual(["key_unknown 2", "key_unknown 3"]);
  expect(createSealKeys(keys).current).toBe(trail.keys.current);
});

test("a trail that was sealed long after it was written says so, as one does that was made anew", async () => {
  const project = trail.project();
  await trail.write(project);
  await trail.clock.advance(7_200_000);
  await trail.seal();
  expect(await verify(project)).toMatchObject({ seals: 1, sealedLate: 1, findingCount: 0 });
});

test("each project that has a trail is verified, also when nothing is left of it but seals", async () => {
  const project = await sealedProject();
  await db.pool.query("delete from audit_entries where project_id = $1", [project]);
  const found: string[] = [];
  for await (const id of auditedProjects(trail)) found.push(id);
  expect(found).toContain(project);
  expect(found).toEqual([...new Set(found)].toSorted());
});

test("of a trail that is wrong all over the first hundred findings are told, and how many there are", async () => {
  const project = trail.project();
  for (let n = 0; n < 102; n++) {
    await trail.write(project);
    await trail.seal();
  }
  await db.pool.query("update audit_entries set method = 'nothing' where project_id = $1", [project]);
  const { findings, findingCount } = await verify(project);
  expect([findings.length, findingCount]).toEqual([100, 102]);
});

test("a trail of 100,000 entries is verified in memory that does not grow with it", async () => {
  const project = trail.project();
  await trail.write(project, 100_000);
  await trail.seal();
  let [count, most] = [0, 0];
  const watched = {
    ...trail.keys,
    mac(...of: Parameters<typeof trail.keys.mac>) {
      const mac = trail.keys.mac(...of);
      const add = (bytes: Uint8Array) => {
        if (++count % 20_000 === 0) most = Math.max(most, collectedMemory());
        mac.add(bytes);
      };
      return { ...mac, add };
    },
  };
  const before = collectedMemory();
  const verified = await verifyAudit({ db, keys: watched }, project);
  expect(verified).toMatchObject({ entries: 100_000, seals: 100, findingCount: 0 });
  // A page of entries takes about a megabyte, all of them a hundred.
  expect(most - before).toBeLessThan(20_000_000);
});
