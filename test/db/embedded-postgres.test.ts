import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { startEmbeddedPostgres } from "../../src/db/embedded-postgres.ts";
import { connectionOptions, type DatabaseAddress } from "../../src/db/orm.ts";
import { canReach } from "../../src/db/postgres-binaries.ts";

const LAUNCHER = new URL("../../src/db/embedded-postgres.ts", import.meta.url).href;

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "muster-embedded-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
  return folder;
}

async function sql(address: DatabaseAddress, text: string): Promise<unknown[]> {
  const client = new pg.Client(connectionOptions(address));
  await client.connect();
  try {
    return (await client.query({ text, rowMode: "array" })).rows.flat();
  } finally {
    await client.end();
  }
}

/** Starts a database in a process of its own, says where, and kills that process. */
async function killOwnerOf(folder: string): Promise<DatabaseAddress> {
  const script = `import { startEmbeddedPostgres } from ${JSON.stringify(LAUNCHER)};
    const { address } = await startEmbeddedPostgres({ folder: ${JSON.stringify(folder)} });
    console.log(JSON.stringify(address));
    setInterval(() => {}, 60_000);`;
  const owner = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(owner.stdout, "data");
  const address: DatabaseAddress = JSON.parse(String(line));
  await sql(address, "create table kept as select 1 as value");
  owner.kill("SIGKILL");
  await once(owner, "exit");
  return address;
}

test("what was written is there at the next start, and nobody else may reach the socket", async () => {
  const folder = await temporaryFolder();
  {
    await using first = await startEmbeddedPostgres({ folder });
    expect(first.fresh).toBe(true);
    expect((await stat(first.address.host)).mode & 0o777).toBe(0o700);
    expect(await sql(first.address, "show listen_addresses")).toEqual([""]);
    await sql(first.address, "create table kept as select 1 as value");
  }
  await using second = await startEmbeddedPostgres({ folder });
  expect(second.fresh).toBe(false);
  expect(await sql(second.address, "select value from kept")).toEqual([1]);
});

test("a start right after the owner was killed waits for its server, loses nothing and finds the socket's folder gone", async () => {
  const folder = await temporaryFolder();
  const before = await killOwnerOf(folder);
  await using after = await startEmbeddedPostgres({ folder });
  expect(await sql(after.address, "select value from kept")).toEqual([1]);
  await expect(stat(before.host)).rejects.toThrow("ENOENT");
});

test("what a killed server wrote of itself is not taken for the next one's being ready", async () => {
  const folder = await temporaryFolder();
  const data = join(folder, "data");
  const pidFile = join(data, "postmaster.pid");
  let written = "";
  {
    await using first = await startEmbeddedPostgres({ folder });
    await sql(first.address, "create table kept as select 1 as value");
    written = await readFile(pidFile, "utf8");
  }
  for (let start = 0; start < 5; start++) {
    await writeFile(pidFile, written, { mode: 0o600 });
    const { uid, gid } = await stat(data);
    await chown(pidFile, uid, gid);
    await using next = await startEmbeddedPostgres({ folder });
    expect(await sql(next.address, "select value from kept")).toEqual([1]);
  }
});

test("data in use is refused to a second owner, and the first keeps it", async () => {
  const folder = await temporaryFolder();
  await using first = await startEmbeddedPostgres({ folder });
  await expect(startEmbeddedPostgres({ folder })).rejects.toThrow("Another process uses the data folder");
  expect(await sql(first.address, "select 1")).toEqual([1]);
});

test("data runs where the folders above it are closed to the server's own user", async () => {
  const home = await temporaryFolder();
  await chmod(home, 0o700);
  await using server = await startEmbeddedPostgres({ folder: join(home, "project", "data"), throwaway: true });
  expect(await sql(server.address, "select 1")).toEqual([1]);
});

test("a first start that was broken off half-way is begun anew", async () => {
  const folder = await temporaryFolder();
  await mkdir(join(folder, "data.new", "base"), { recursive: true });
  await using server = await startEmbeddedPostgres({ folder, throwaway: true });
  expect(server.fresh).toBe(true);
});

test("a throwaway database leaves only its log", async () => {
  const folder = await temporaryFolder();
  const server = await startEmbeddedPostgres({ folder, throwaway: true });
  await server[Symbol.asyncDispose]();
  expect(await readdir(folder)).toEqual(["postgres.log"]);
});

test("what a killed server left in the temporary folder is swept, and what is in use is not", async () => {
  await using running = await startEmbeddedPostgres({ folder: await temporaryFolder(), throwaway: true });
  const longAgo = new Date("2026-01-01");
  const left = await mkdtemp(join(dirname(running.address.host), "muster-postgres-"));
  for (const folder of [left, running.address.host]) await utimes(folder, longAgo, longAgo);
  await using other = await startEmbeddedPostgres({ folder: await temporaryFolder(), throwaway: true });
  await expect(stat(left)).rejects.toThrow("ENOENT");
  expect(await sql(running.address, "select 1")).toEqual([1]);
  expect(await sql(other.address, "select 1")).toEqual([1]);
});

test("a path counts as closed to another user when one folder above it is", async () => {
  const folder = await temporaryFolder();
  const stranger = { uid: 54_321, gid: 54_321 };
  await chmod(folder, 0o755);
  expect(await canReach(join(folder, "file"), stranger)).toBe(true);
  await chmod(folder, 0o700);
  expect(await canReach(join(folder, "file"), stranger)).toBe(false);
});
