import { chmod, readFile, writeFile } from "node:fs/promises";
import { delimiter, dirname, join, resolve } from "node:path";
import { expect, test } from "vitest";
import { blocksOf } from "../../scripts/readme/blocks.ts";
import { openSession } from "../../scripts/readme/session.ts";
import { testDatabase } from "../support/database.ts";
import { MAIN, temporaryFolder } from "../support/muster-process.ts";
import { startTestServer } from "../support/start-test-server.ts";

const db = await testDatabase();

test("what the guide on bulk does, does what it says", async () => {
  const server = await startTestServer({ address: db.address });
  const { accessKey } = await server.project();
  const folder = await temporaryFolder();
  const programs = await temporaryFolder();
  // Where the guide is read `npx muster` runs this project's command.
  await writeFile(join(programs, "npx"), `#!/bin/sh\nshift\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
  await chmod(join(programs, "npx"), 0o755);
  const path = [programs, dirname(process.execPath), process.env["PATH"]].join(delimiter);
  const env = { PATH: path, MUSTER_URL: server.url, MUSTER_ACCESS_KEY: accessKey };
  await using session = openSession(folder, env);
  const blocks = blocksOf(await readFile(resolve("docs/bulk.md"), "utf8"));
  expect(blocks.filter(({ action }) => action === "run").length).toBeGreaterThan(4);
  for (const block of blocks) await session.perform(block);
});
