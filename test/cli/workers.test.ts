import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { testDatabaseAddress } from "../support/database.ts";
import { type MusterProcess, runMuster, settingsFor, startMuster, temporaryFolder } from "../support/muster-process.ts";
import { reasonOf } from "../support/refusal.ts";
import { reach } from "../support/start-test-server.ts";
import { openWatch } from "../support/watch.ts";

const settings = settingsFor(await testDatabaseAddress());
const two = { ...settings, MUSTER_WORKERS: "2" };

/** The processes that serve, by their ids. */
async function workersOf(muster: MusterProcess): Promise<number[]> {
  const pid = muster.process.pid ?? 0;
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
  return children.trim().split(" ").filter(Boolean).map(Number);
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** A call on a connection of its own. */
const ready = async (url: string): Promise<string> =>
  (await fetch(`${url}/readyz`, { headers: { connection: "close" } })).text();

test("two workers serve one port: whoever sets a presence, the watchers of all of them see it", async () => {
  const muster = await startMuster(two);
  expect(await workersOf(muster)).toHaveLength(2);
  const server = reach(muster.url, settings["MUSTER_OPERATOR_KEY"] ?? "");
  const project = await server.project();
  const { user } = await project.system(UserService).upsertUser({ externalId: "ada" });
  // Each transport has a connection of its own, which the system gives to one of the workers.
  const transports = Array.from({ length: 6 }, () => server.transport("gRPC", project.accessKey));
  const watches = await Promise.all(transports.map((transport) => openWatch(transport, [user?.id ?? ""])));
  const presence = { status: "online" };
  await project.system(PresenceService).setPresence({ ref: { ref: { case: "id", value: user?.id ?? "" } }, presence });
  for (const watch of watches) {
    expect(await watch.next()).toMatchObject({ case: "update", value: { presences: [{ status: "online" }] } });
  }
  muster.process.kill("SIGTERM");
  for (const watch of watches) {
    expect((await watch.next()).case).toBe("goodbye");
    expect(await reasonOf(watch.next())).toBe("SHUTTING_DOWN");
  }
  expect(await muster.outcome).toEqual({ code: 0, stdout: `muster listening on ${muster.url}\n`, stderr: "" });
});

test("a worker that is killed is replaced, and the port is served meanwhile", async () => {
  const muster = await startMuster(two);
  const before = await workersOf(muster);
  const [victim = 0] = before;
  process.kill(victim, "SIGKILL");
  // A connection that it had taken in the moment of its death is reset; the system gives it no other.
  await expect.poll(() => isAlive(victim)).toBe(false);
  for (let call = 0; call < 20; call++) expect(await ready(muster.url)).toBe("ready\n");
  await expect.poll(() => workersOf(muster), { timeout: 20_000 }).toHaveLength(2);
  expect(await workersOf(muster)).not.toContain(victim);
  muster.process.kill("SIGTERM");
  expect((await muster.outcome).code).toBe(0);
});

test("the metrics are those of all workers together", async () => {
  const muster = await startMuster(two);
  const server = reach(muster.url, settings["MUSTER_OPERATOR_KEY"] ?? "");
  const project = await server.project();
  const calls = Array.from({ length: 9 }, (_, n) =>
    server.client(UserService, project.accessKey, "gRPC").upsertUser({ externalId: `user ${n}` }),
  );
  await Promise.all(calls);
  const text = await (await fetch(`${muster.url}/metrics`)).text();
  const counted = /^muster_rpc_duration_seconds_count\{.*UpsertUser.*\} (\d+)$/m.exec(text)?.[1];
  expect(Number(counted)).toBe(9);
  expect(text.match(/^process_resident_memory_bytes \d/gm)).toHaveLength(1);
});

test("with the first process the workers end, however it ends, and the embedded database with them", async () => {
  const env = { MUSTER_DATA_DIR: await temporaryFolder(), MUSTER_LOG_LEVEL: "silent", MUSTER_WORKERS: "2" };
  const muster = await startMuster(env);
  const workers = await workersOf(muster);
  expect(JSON.parse(await readFile(join(env.MUSTER_DATA_DIR, "dev-credentials.json"), "utf8")).url).toBe(muster.url);
  muster.process.kill("SIGKILL");
  await expect.poll(() => workers.filter(isAlive), { timeout: 30_000 }).toEqual([]);
  const again = await startMuster(env);
  again.process.kill("SIGINT");
  expect((await again.outcome).code).toBe(0);
});

test("a second signal ends the workers at once", async () => {
  const muster = await startMuster(two);
  const workers = await workersOf(muster);
  const server = reach(muster.url, settings["MUSTER_OPERATOR_KEY"] ?? "");
  await server.project();
  for (const pid of workers) process.kill(pid, "SIGSTOP");
  muster.process.kill("SIGTERM");
  await sleep(1_000);
  expect(muster.process.exitCode).toBeNull();
  muster.process.kill("SIGTERM");
  expect((await muster.outcome).code).toBe(1);
  await expect.poll(() => workers.filter(isAlive)).toEqual([]);
});

test("a port in use is said once, and nothing is left running", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => other.once("listening", resolve));
  const { port } = other.address() as { port: number };
  const stderr = `muster: Port ${port} on 127.0.0.1 is in use by another process\n`;
  expect(await runMuster(["serve"], { ...two, MUSTER_PORT: String(port) })).toEqual({ code: 1, stdout: "", stderr });
  other.close();
});
