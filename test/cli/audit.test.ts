import { randomUUID } from "node:crypto";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { delimiter, dirname, join, resolve } from "node:path";
import { expect, test } from "vitest";
import { blocksOf } from "../../scripts/readme/blocks.ts";
import { openSession } from "../../scripts/readme/session.ts";
import { openDatabase } from "../../src/db/orm.ts";
import { createLogger } from "../../src/logger.ts";
import { auditTrail } from "../audit/audit-fixture.ts";
import { testDatabaseAddress } from "../support/database.ts";
import { MAIN, runMuster, settingsFor, temporaryFolder } from "../support/muster-process.ts";
import { startTestServer } from "../support/start-test-server.ts";

/** A database with a sealed trail, and what `muster` is run with on it. */
async function sealedTrail() {
  const address = await testDatabaseAddress();
  const env = settingsFor(address);
  const options = { poolSize: 3, statementTimeoutMs: 30_000 };
  const db = await openDatabase(address, [], options, createLogger("silent"));
  const trail = auditTrail(db, [Buffer.from(String(env["MUSTER_ENCRYPTION_KEY"]), "base64")]);
  const project = trail.project();
  await trail.write(project, 3);
  await trail.seal();
  const verify = async (...args: string[]) => {
    const { code, stdout, stderr } = await runMuster(["audit", "verify", ...args], env);
    expect(stderr).toBe("");
    return { code, stdout };
  };
  return { db, trail, project, env, verify };
}

test("verify says that a trail is whole, prints its end, and holds a later one to it", async () => {
  const { db, trail, project, verify } = await sealedTrail();
  const text = await verify();
  expect(text.code).toBe(0);
  expect(text.stdout).toMatch(
    new RegExp(
      `^project_id .*\n${project} +1 +3 +0 +0 +0 +0 +1:[0-9a-f]{64}\nNothing was changed that is sealed\\.\n$`,
    ),
  );
  const json = await verify("--json");
  const { projects, findings } = JSON.parse(json.stdout);
  expect(findings).toBe(0);
  expect(projects).toEqual([
    {
      project_id: project,
      head: expect.any(String),
      seals: 1,
      entries: 3,
      unsealed: 0,
      sealed_late: 0,
      pruned: 0,
      finding_count: 0,
      findings: [],
    },
  ]);
  const heads = join(await temporaryFolder(), "heads.json");
  await writeFile(heads, json.stdout);
  await trail.write(project);
  await trail.seal();
  expect(await verify("--heads", heads, "--expect", `${project}=${projects[0].head}`)).toMatchObject({ code: 0 });
  await db.pool.query("truncate audit_seals, audit_entries");
  expect(await verify()).toMatchObject({ code: 0 });
  const cut = await verify("--heads", heads);
  expect(cut.code).toBe(1);
  expect(cut.stdout).toContain(`end_missing: project ${project}, seal 1: the trail has no seal\n1 findings.\n`);
  await db[Symbol.asyncDispose]();
});

test("verify says what was changed, where and when, and ends with 1", async () => {
  const { db, project, verify } = await sealedTrail();
  const { rows } = await db.pool.query(
    "select transaction_id::text as id, max(sequence) as last from audit_entries group by 1",
  );
  await db.pool.query("update audit_entries set actor_id = 'somebody' where sequence = $1", [rows[0].last]);
  const text = await verify("--project", project);
  const place = `${rows[0].id}/${rows[0].last}`;
  expect(text).toEqual({
    code: 1,
    stdout: expect.stringContaining(
      `entries_changed: project ${project}, seal 1, behind 0/0, up to ${place}, 2026-03-01T00:00:00.000Z: its 3 entries are not those that were sealed`,
    ),
  });
  const { projects, findings } = JSON.parse((await verify("--json")).stdout);
  expect(findings).toBe(1);
  expect(projects[0].findings).toEqual([
    {
      kind: "entries_changed",
      seal: 1,
      after: "0/0",
      up_to: place,
      time: "2026-03-01T00:00:00.000Z",
      detail: "its 3 entries are not those that were sealed",
    },
  ]);
  await db[Symbol.asyncDispose]();
});

test("list prints what was done in a project, the newest first, as a table or as JSON", async () => {
  const { db, env, project } = await sealedTrail();
  const server = await startTestServer({
    address: db.address,
    config: { operatorKey: String(env["MUSTER_OPERATOR_KEY"]) },
  });
  const reached = { ...env, MUSTER_URL: server.url };
  const list = (...args: string[]) => runMuster(["audit", "list", "--project", project, ...args], reached);
  const json = await list("--limit", "2", "--json");
  expect(JSON.parse(json.stdout).map(({ request_id }: { request_id: string }) => request_id)).toEqual([
    "request-3",
    "request-2",
  ]);
  const { code, stdout } = await list("--after", "2026-03-01T00:00:02Z", "--before", "2026-03-01T00:00:03Z");
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^create_time .*\n2026-03-01T00:00:02Z +UserService\/UpsertUser +system +key-1 .* true +\d+\/\d+\n$/,
  );
  expect((await list("--after", "yesterday")).code).toBe(2);
  await db[Symbol.asyncDispose]();
});

test("verify refuses what it does not understand", async () => {
  const env = settingsFor(await testDatabaseAddress());
  const misused = async (...args: string[]) => (await runMuster(["audit", "verify", ...args], env)).code;
  expect(await misused("--expect", `${randomUUID()}=1:abc`)).toBe(2);
  expect(await misused("--project", "7")).toBe(2);
  const path = join(await temporaryFolder(), "heads.json");
  await writeFile(path, "[]");
  expect(await runMuster(["audit", "verify", "--heads", path], env)).toMatchObject({
    code: 1,
    stderr: `muster: ${path} is not what muster audit verify --json prints\n`,
  });
});

test("what the guide on audit does, does what it says", async () => {
  const { db, env } = await sealedTrail();
  const programs = await temporaryFolder();
  // Where the guide is read `npx muster` runs this project's command.
  await writeFile(join(programs, "npx"), `#!/bin/sh\nshift\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
  await chmod(join(programs, "npx"), 0o755);
  const path = [programs, dirname(process.execPath), process.env["PATH"]].join(delimiter);
  await using session = openSession(await temporaryFolder(), { ...env, PATH: path });
  const blocks = blocksOf(await readFile(resolve("docs/audit.md"), "utf8"));
  expect(blocks.filter(({ action }) => action === "run").length).toBeGreaterThan(1);
  for (const block of blocks) await session.perform(block);
  await db[Symbol.asyncDispose]();
});
