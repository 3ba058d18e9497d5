import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { blocksOf } from "../../scripts/readme/blocks.ts";
import { run } from "./support/run.ts";
import { startServerProcess } from "./support/server.ts";

/** The Python that has PyJWT with cryptography: .ci/run makes one. */
const PYTHON = process.env["MUSTER_TEST_PYTHON"] ?? "/usr/bin/python3";

const server = await startServerProcess();
const folder = mkdtempSync(join(tmpdir(), "muster-external-"));
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

test("a JWT that Python signs as the guide has it signs its user in", async () => {
  const rotated = await server.call("ExternalAuthService/RotateExternalKey", { generate: {} });
  writeFileSync(join(folder, "external-key.pem"), String(rotated["privateKeyPem"]), { mode: 0o600 });
  const block = blocksOf(readFileSync("docs/external-users.md", "utf8")).find(({ file }) => file === "sign.py");
  writeFileSync(join(folder, "sign.py"), block?.code ?? "");
  const signed = await run("env", ["-C", folder, `PROJECT=${server.projectId}`, PYTHON, "sign.py"]);
  expect(signed.stderr).toBe("");
  const answer = await server.call("ExternalAuthService/VerifyExternalUser", { userJwt: signed.stdout.trim() });
  expect(answer).toMatchObject({
    userCreated: true,
    user: { externalId: "user_ada", email: "ada@example.org", emailVerified: true, metadata: { plan: "pro" } },
  });
});
