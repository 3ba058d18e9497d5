import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, readFile, symlink, writeFile } from "node:fs/promises";
import { delimiter, dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { expect, onTestFinished, test } from "vitest";
import { blocksOf } from "../../scripts/readme/blocks.ts";
import { openSession } from "../../scripts/readme/session.ts";
import { payloadOf, signedHeaders } from "../../src/webhooks/signed-request.ts";
import { newWebhookSecret, webhookSecretText } from "../../src/webhooks/webhook-secrets.ts";
import { testDatabase } from "../support/database.ts";
import { MAIN, temporaryFolder } from "../support/muster-process.ts";
import { startTestServer } from "../support/start-test-server.ts";

const db = await testDatabase();
const guide = await readFile(resolve("docs/webhooks.md"), "utf8");
const blocks = blocksOf(guide);

test("what the guide on webhooks does, does what it says", { timeout: 180_000 }, async () => {
  const server = await startTestServer({ address: db.address });
  const { accessKey } = await server.project();
  const [folder, programs] = [await temporaryFolder(), await temporaryFolder()];
  // Where the guide is read `npx muster` runs this project's command.
  await writeFile(join(programs, "npx"), `#!/bin/sh\nshift\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
  await chmod(join(programs, "npx"), 0o755);
  const path = [programs, dirname(process.execPath), process.env["PATH"]].join(delimiter);
  await using session = openSession(folder, { PATH: path, MUSTER_URL: server.url, MUSTER_ACCESS_KEY: accessKey });
  expect(blocks.filter(({ action }) => action === "run").length).toBeGreaterThan(3);
  for (const block of blocks) await session.perform(block);
});

test("the receiver that the guide has in Node takes what is signed, and nothing else", async () => {
  const folder = await temporaryFolder();
  await symlink(resolve("node_modules"), join(folder, "node_modules"));
  await writeFile(join(folder, "receiver.mjs"), blocks.find(({ file }) => file === "receiver.mjs")?.code ?? "");
  const secret = newWebhookSecret();
  const env = { PORT: "0", WEBHOOK_SECRET: webhookSecretText(secret) };
  const receiver = spawn(process.execPath, ["receiver.mjs"], {
    cwd: folder,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(async () => {
    if (receiver.kill()) await once(receiver, "exit");
  });
  const lines = createInterface(receiver.stdout)[Symbol.asyncIterator]();
  const port = /^listening on (\d+)$/.exec(String((await lines.next()).value))?.[1];
  const body = payloadOf({ ...EVENT, userId: "u-1" }, "FULL");
  const send = async (secrets: readonly Uint8Array[], text = body) => {
    const headers = signedHeaders({ id: EVENT.id, nowMs: Date.now(), body, secrets });
    return (await fetch(`http://127.0.0.1:${port}/events`, { method: "POST", headers, body: text })).status;
  };
  expect(await send([newWebhookSecret()])).toBe(401);
  expect(await send([secret], body.replace("u-1", "u-2"))).toBe(401);
  expect(await send([newWebhookSecret(), secret])).toBe(204);
  expect((await lines.next()).value).toBe("session.created u-1");
});

/** As the guide shows it. */
const SHOWN = JSON.parse(blocks.find(({ language }) => language === "json")?.code ?? "");
const EVENT = {
  projectId: SHOWN.project_id,
  id: SHOWN.id,
  type: SHOWN.type,
  userId: SHOWN.user_id,
  data: SHOWN.data,
  origin: SHOWN.origin,
  createTime: new Date(SHOWN.timestamp),
};

test("the body that the guide shows is one as it is sent, and its thin form has the ids that the guide names", () => {
  expect(JSON.parse(payloadOf(EVENT, "FULL"))).toEqual(SHOWN);
  expect(Object.keys(JSON.parse(payloadOf(EVENT, "THIN")).data)).toEqual(["session_id", "user_id", "external_id"]);
  const rows = [...guide.matchAll(/^\| `(\w+)` \|/gm)].map(([, member]) => member);
  expect(rows).toEqual(expect.arrayContaining(Object.keys(SHOWN)));
});

test("the guide names the reasons of the calls about webhooks", () => {
  for (const reason of ["WEBHOOK_NOT_FOUND", "WEBHOOKS_FULL", "ETAG_MISMATCH", "REQUEST_INVALID"])
    expect(guide).toContain(`| \`${reason}\` |`);
});
