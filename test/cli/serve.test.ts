import { once } from "node:events";
import { readFile, stat, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { expect, test } from "vitest";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { testDatabaseAddress } from "../support/database.ts";
import { runMuster, settingsFor, startMuster, temporaryFolder } from "../support/muster-process.ts";

const production = settingsFor(await testDatabaseAddress());
const QUIET = { MUSTER_LOG_LEVEL: "silent" };

const credentialsIn = async (folder: string) =>
  JSON.parse(await readFile(join(folder, "dev-credentials.json"), "utf8"));
const modeOf = async (path: string) => (await stat(path)).mode & 0o777;

function getProject(url: string, credential: string, projectId = "") {
  const transport = createConnectTransport({ baseUrl: url, httpVersion: "1.1", nodeOptions: { agent: false } });
  const headers = { authorization: `Bearer ${credential}` };
  return createClient(ProjectService, transport).getProject({ projectId }, { headers });
}

test("the first start makes a development project, whose credentials are in a private file and work", async () => {
  const folder = await temporaryFolder();
  const server = await startMuster({ ...QUIET, MUSTER_DATA_DIR: folder });
  const credentials = await credentialsIn(folder);
  expect(credentials.url).toBe(server.url);
  expect((await getProject(server.url, credentials.access_key)).project?.id).toBe(credentials.project_id);
  const byOperator = await getProject(server.url, credentials.operator_key, credentials.project_id);
  expect(byOperator.project?.displayName).toBe("Development");
  expect(await modeOf(join(folder, "dev-credentials.json"))).toBe(0o600);
  expect(await modeOf(join(folder, "secrets.json"))).toBe(0o600);
});

test.each(["SIGTERM", "SIGINT"] as const)("%s ends it with 0, and one line is all it printed", async (signal) => {
  const server = await startMuster(production);
  server.process.kill(signal);
  expect(await server.outcome).toEqual({ code: 0, stdout: `muster listening on ${server.url}\n`, stderr: "" });
});

test("after kill -9 the next start serves the same project under the same credentials", async () => {
  const folder = await temporaryFolder();
  const env = { ...QUIET, MUSTER_DATA_DIR: folder };
  const first = await startMuster(env);
  const before = await credentialsIn(folder);
  first.process.kill("SIGKILL");
  await first.outcome;
  const second = await startMuster(env);
  expect(await credentialsIn(folder)).toEqual({ ...before, url: second.url });
  expect((await getProject(second.url, before.access_key)).project?.id).toBe(before.project_id);
});

test("a second server on the same data folder is refused, and the first one goes on", async () => {
  const folder = await temporaryFolder();
  const env = { ...QUIET, MUSTER_DATA_DIR: folder, MUSTER_PORT: "0" };
  const first = await startMuster(env);
  const second = await runMuster(["serve"], env);
  expect(second).toMatchObject({ code: 1, stdout: "" });
  expect(second.stderr).toMatch(/^muster: Another process uses the data folder .*\n$/);
  const { access_key } = await credentialsIn(folder);
  await getProject(first.url, access_key);
});

test("a port in use is said to be", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as { port: number };
  const env = { ...production, MUSTER_PORT: String(port) };
  const stderr = `muster: Port ${port} on 127.0.0.1 is in use by another process\n`;
  expect(await runMuster(["serve"], env)).toEqual({ code: 1, stdout: "", stderr });
  other.close();
});

test("a data folder that cannot be made is said to be", async () => {
  const file = join(await temporaryFolder(), "file");
  await writeFile(file, "");
  const outcome = await runMuster(["serve"], { ...QUIET, MUSTER_DATA_DIR: join(file, "data") });
  expect(outcome).toMatchObject({ code: 1, stdout: "" });
  expect(outcome.stderr).toMatch(/^muster: Cannot write to the data folder .*ENOTDIR\n$/);
});

test("a lost secrets file stops the start, for the data was sealed under it", async () => {
  const folder = await temporaryFolder();
  const env = { ...QUIET, MUSTER_DATA_DIR: folder };
  await runMuster(["migrate"], env);
  const outcome = await runMuster(["serve"], env);
  expect(outcome).toMatchObject({ code: 1, stdout: "" });
  expect(outcome.stderr).toContain("secrets.json is missing");
});

test("a configuration that is wrong ends the start with 1, every problem named and no value", async () => {
  const env = { DATABASE_URL: "value-1", MUSTER_PORT: "value-2", MUSTER_PROT: "value-3" };
  const { code, stdout, stderr } = await runMuster(["serve"], env);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  for (const name of ["DATABASE_URL", "MUSTER_PORT", "MUSTER_PROT", "MUSTER_OPERATOR_KEY", "MUSTER_ENCRYPTION_KEY"])
    expect(stderr).toContain(name);
  expect(stderr).not.toContain("value-");
});

test("a database that cannot be reached is named without its password", async () => {
  const env = { ...production, DATABASE_URL: "postgres://muster:pass-word@127.0.0.1:1/muster" };
  const { code, stderr } = await runMuster(["serve"], env);
  expect(code).toBe(1);
  expect(stderr).toContain("Port 1 on 127.0.0.1 takes no connections");
  expect(stderr).not.toContain("pass-word");
});

test("while a call keeps the first signal waiting, a second one ends the process at once", async () => {
  const server = await startMuster(production);
  const { hostname, port } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  const head = "POST /muster.v1.ProjectService/ListProjects HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
  socket.on("error", () => {});
  socket.write(`${head}content-length: 100\r\n\r\n{`);
  await sleep(200);
  server.process.kill("SIGTERM");
  await sleep(1_000);
  expect(server.process.exitCode).toBeNull();
  server.process.kill("SIGTERM");
  expect((await server.outcome).code).toBe(1);
  socket.destroy();
});
