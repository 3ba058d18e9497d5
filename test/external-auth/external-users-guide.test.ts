import { chmod, readFile, symlink, writeFile } from "node:fs/promises";
import { delimiter, dirname, join, resolve } from "node:path";
import { expect, test } from "vitest";
import { blocksOf } from "../../scripts/readme/blocks.ts";
import { openSession } from "../../scripts/readme/session.ts";
import { USER_DATA_FIELDS } from "../../src/external-auth/user-data.ts";
import { testDatabase } from "../support/database.ts";
import { MAIN, temporaryFolder } from "../support/muster-process.ts";
import { startTestServer } from "../support/start-test-server.ts";

const db = await testDatabase();
const guide = await readFile(resolve("docs/external-users.md"), "utf8");

test("what the guide on external users does, does what it says", { timeout: 180_000 }, async () => {
  const server = await startTestServer({ address: db.address });
  const { accessKey } = await server.project();
  const folder = await temporaryFolder();
  const programs = await temporaryFolder();
  // Where the guide is read `npx muster` runs this project's command, and `jose` is installed.
  await writeFile(join(programs, "npx"), `#!/bin/sh\nshift\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
  await chmod(join(programs, "npx"), 0o755);
  await symlink(resolve("node_modules"), join(folder, "node_modules"));
  const path = [programs, dirname(process.execPath), process.env["PATH"]].join(delimiter);
  const env = { PATH: path, MUSTER_URL: server.url, MUSTER_ACCESS_KEY: accessKey };
  await using session = openSession(folder, env);
  const blocks = blocksOf(guide);
  expect(blocks.filter(({ action }) => action === "run").length).toBeGreaterThan(5);
  for (const block of blocks) await session.perform(block);
});

test("the guide tells of every member of userData which field it writes", () => {
  const rows = [...guide.matchAll(/^\| `(\w+)` \| `(\w+)` \|/gm)].map(([, member, field]) => [member, field]);
  expect(Object.fromEntries(rows)).toEqual(USER_DATA_FIELDS);
});
