import { existsSync, globSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { run } from "./support/run.ts";
import { startServerProcess } from "./support/server.ts";

/** What the script of the same folder reports. */
interface Report {
  readonly created: boolean[];
  readonly same_user: boolean;
  readonly user: { name: string; tags: string[] };
  readonly token_parts: number;
  readonly called_as_user: string;
  readonly unknown_user: unknown;
  readonly no_credential: unknown;
  readonly broken_rule: unknown;
  readonly watched: string[];
  readonly deadline: unknown;
}

/** The Python that has grpcio and grpcio-tools: .ci/run makes one. */
const PYTHONS = [process.env["MUSTER_TEST_PYTHON"] ?? "", "/usr/bin/python3"];

const server = await startServerProcess();
const stubs = mkdtempSync(join(tmpdir(), "muster-stubs-"));
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(stubs, { recursive: true });
});
const report = await callFromPython(PYTHONS.find((it) => it !== "" && existsSync(it)) ?? "python3");

/** Makes the stubs from proto/ as a stranger would, and runs the script with them. */
async function callFromPython(python: string): Promise<Report> {
  const out = [`--python_out=${stubs}`, `--grpc_python_out=${stubs}`];
  const protos = globSync("proto/**/*.proto");
  const made = await run(python, ["-m", "grpc_tools.protoc", "-I", "proto", ...out, ...protos], 60_000);
  if (made.code !== 0) throw new Error(`${python} makes no stubs: ${made.stderr}`);
  const script = join(import.meta.dirname, "support/grpcio_client.py");
  const ran = await run(python, [script, stubs, new URL(server.url).host, server.accessKey], 60_000);
  if (ran.code !== 0) throw new Error(`the script failed: ${ran.stderr}`);
  return JSON.parse(ran.stdout) as Report;
}

test("the first upsert from Python makes the user, the second brings the same one up to date", () => {
  expect(report.created).toEqual([true, false]);
  expect(report.same_user).toBe(true);
});

test("Python reads back what it wrote", () => {
  expect(report.user).toEqual({ name: "Ada, Countess of Lovelace", tags: ["engine"] });
});

test("a token issued to Python lets the user call", () => {
  expect(report.token_parts).toBe(3);
  expect(report.called_as_user).toBe("Ada, Countess of Lovelace");
});

test("Python finds the reason of a refusal in its details", () => {
  const domain = "muster.v1";
  expect(report.unknown_user).toEqual({ code: "NOT_FOUND", reason: "USER_NOT_FOUND", domain });
  expect(report.no_credential).toEqual({ code: "UNAUTHENTICATED", reason: "CREDENTIAL_MISSING", domain });
  expect(report.broken_rule).toEqual({ code: "INVALID_ARGUMENT", reason: "REQUEST_INVALID", domain });
});

test("a watch from Python is told the state there is, then the change", () => {
  expect(report.watched).toEqual(["offline", "online"]);
});

test("a watch from Python ends at its deadline", () => {
  expect(report.deadline).toEqual({ code: "DEADLINE_EXCEEDED", waited: true });
});
