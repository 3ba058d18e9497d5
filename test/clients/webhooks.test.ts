import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { blocksOf } from "../../scripts/readme/blocks.ts";
import { payloadOf, signedHeaders } from "../../src/webhooks/signed-request.ts";
import { newWebhookSecret, webhookSecretText } from "../../src/webhooks/webhook-secrets.ts";
import { run } from "./support/run.ts";

/** The Python that has standardwebhooks: .ci/run makes one. */
const PYTHON = process.env["MUSTER_TEST_PYTHON"] ?? "/usr/bin/python3";

const folder = mkdtempSync(join(tmpdir(), "muster-webhooks-"));
afterAll(() => rmSync(folder, { recursive: true }));
for (const { file, code } of blocksOf(readFileSync("docs/webhooks.md", "utf8")))
  if (file) writeFileSync(join(folder, file), code);

const [secret, previous] = [newWebhookSecret(), newWebhookSecret()];
const WEBHOOK_SECRET = webhookSecretText(secret);
const id = "019b7c1e-5d3b-7a11-8c2d-3e4f5a6b7c8d";
const body = payloadOf(
  {
    ...{ id, projectId: "p-1", type: "user.created", userId: "u-1", origin: null },
    data: { user: { id: "u-1", name: "Zoë √ 🦉" } },
    createTime: new Date("2026-01-02T03:04:05.678Z"),
  },
  "FULL",
);
const headersBy = (...secrets: Uint8Array[]) => signedHeaders({ id, nowMs: Date.now(), body, secrets });

test("the receiver that the guide has in Python takes what is signed, and nothing else", async () => {
  const env = { ...process.env, PORT: "0", WEBHOOK_SECRET };
  const receiver = spawn(PYTHON, ["receiver.py"], { cwd: folder, env, stdio: ["ignore", "pipe", "ignore"] });
  onTestFinished(async () => {
    if (receiver.kill()) await once(receiver, "exit");
  });
  const lines = createInterface(receiver.stdout)[Symbol.asyncIterator]();
  const port = /^listening on (\d+)$/.exec(String((await lines.next()).value))?.[1];
  const send = async (headers: Record<string, string>, text = body) =>
    (await fetch(`http://127.0.0.1:${port}/events`, { method: "POST", headers, body: text })).status;
  expect(await send(headersBy(previous))).toBe(401);
  expect(await send(headersBy(secret), body.replace("u-1", "u-2"))).toBe(401);
  expect(await send(headersBy(previous, secret))).toBe(204);
  expect((await lines.next()).value).toBe("user.created u-1");
});

test("what the guide computes by hand is the signature of the request", async () => {
  const headers = headersBy(secret);
  const given = [
    `WEBHOOK_SECRET=${WEBHOOK_SECRET}`,
    `WEBHOOK_ID=${id}`,
    `WEBHOOK_TIMESTAMP=${headers["webhook-timestamp"]}`,
    `BODY=${body}`,
  ];
  const { stdout } = await run("env", [...given, "sh", join(folder, "sign.sh")]);
  expect(`v1,${stdout.trim()}`).toBe(headers["webhook-signature"]);
});
