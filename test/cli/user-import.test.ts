import { randomInt } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { testDatabase } from "../support/database.ts";
import { runMuster, spawnMuster, temporaryFolder } from "../support/muster-process.ts";
import { settledEvents, settledUserEvents } from "../support/settled-events.ts";
import { startTestServer } from "../support/start-test-server.ts";

const db = await testDatabase();

/** A server with a project, the settings of a command line that imports into it, and a folder for files. */
async function target() {
  const server = await startTestServer({ address: db.address });
  const { id, accessKey, system } = await server.project();
  const env = { MUSTER_URL: server.url, MUSTER_ACCESS_KEY: accessKey };
  const folder = await temporaryFolder();
  const users = system(UserService);
  const write = async (name: string, lines: readonly unknown[]) => {
    const path = join(folder, name);
    await writeFile(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    return path;
  };
  return { server, projectId: id, env, folder, users, write };
}

const jsonLines = (text: string) =>
  text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const row = (i: number) => ({ external_id: `u${i}`, user: { name: `User ${i}`, email: `user.${i}@example.com` } });
const rows = (count: number) => Array.from({ length: count }, (_, i) => row(i));

test("a file is imported, and its end of line and byte order mark do not matter", async () => {
  const { env, users, folder } = await target();
  const file = join(folder, "users.jsonl");
  const [first, second, third] = rows(3).map((it) => JSON.stringify(it));
  await writeFile(file, `\uFEFF${first}\r\n\r\n${second}\n  \n${third}`);
  const { code, stdout, stderr } = await runMuster(["user", "import", file], env);
  expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
  expect(stderr).toMatch(/^3 rows: 3 created, 0 changed, 0 unchanged, 0 refused in [\d.]+ s\n$/);
  expect((await users.listUsers({ orderBy: "external_id" })).users.map(({ name }) => name)).toEqual([
    "User 0",
    "User 1",
    "User 2",
  ]);
  expect(existsSync(`${file}.muster-state`)).toBe(false);
});

test("standard input is imported as a file is, and the summary can be had as JSON", async () => {
  const { env, users } = await target();
  const input = rows(1_500).map((it) => `${JSON.stringify(it)}\n`);
  const { code, stderr } = await runMuster(["user", "import", "-", "--json"], env, input.join(""));
  expect(code).toBe(0);
  expect(JSON.parse(stderr)).toMatchObject({ rows: 1_500, created: 1_500, refused: 0 });
  expect((await users.listUsers({ withTotal: true })).totalSize).toBe(1_500);
  const empty = await runMuster(["user", "import", "-"], env, "");
  expect(empty.code).toBe(0);
  expect(empty.stderr).toMatch(/^0 rows: /);
});

test("refused rows end the command with 3 and are told on standard error or in a file, the others are in", async () => {
  const { env, users, write, folder } = await target();
  const file = await write("users.jsonl", [row(1), { external_id: "bad", user: { email: "none" } }, row(2)]);
  const refusal = { line: 2, external_id: "bad", reason: "REQUEST_INVALID", field: "user.email" };
  const first = await runMuster(["user", "import", file], env);
  expect(first.code).toBe(3);
  expect(jsonLines(first.stderr.split("\n")[0] ?? "")).toEqual([{ ...refusal, message: expect.any(String) }]);
  const errors = join(folder, "errors.jsonl");
  await writeFile(errors, "of an earlier import\n", { mode: 0o600 });
  const second = await runMuster(["user", "import", file, "--errors", errors], env);
  expect(second.code).toBe(3);
  expect(second.stderr).toMatch(/^3 rows: [^\n]* 1 refused [^\n]*\n$/);
  expect(jsonLines(await readFile(errors, "utf8"))).toEqual([{ ...refusal, message: expect.any(String) }]);
  expect((await users.listUsers({ withTotal: true })).totalSize).toBe(2);
});

test("a dry run tells of every row what would come of it and why, and leaves no trace", async () => {
  const { env, users, write, folder, projectId } = await target();
  await users.upsertUser({ externalId: "u1", user: row(1).user });
  await users.upsertUser({ externalId: "u2", user: { login: "grace" } });
  const file = await write("users.jsonl", [
    row(1),
    { external_id: "u2", user: { bio: "new" } },
    row(3),
    { external_id: "rival", user: { login: "grace" } },
    { user: { name: "nobody" } },
  ]);
  const before = await settledEvents(db, projectId);
  const { code, stdout, stderr } = await runMuster(["user", "import", file, "--dry-run"], env);
  expect(code).toBe(3);
  expect(stderr).toBe("5 rows: 1 created, 1 changed, 1 unchanged, 2 refused; nothing was written\n");
  expect(jsonLines(stdout)).toEqual([
    { line: 1, external_id: "u1", outcome: "unchanged" },
    { line: 2, external_id: "u2", outcome: "changed" },
    { line: 3, external_id: "u3", outcome: "created" },
    {
      ...{ line: 4, external_id: "rival", outcome: "refused" },
      ...{ reason: "LOGIN_TAKEN", field: "user.login", message: "Another user has this login" },
    },
    { line: 5, outcome: "refused", reason: "REQUEST_INVALID", field: "external_id", message: expect.any(String) },
  ]);
  expect((await users.listUsers({})).users.map(({ bio }) => bio)).toEqual(["", ""]);
  expect(await settledEvents(db, projectId)).toEqual(before);
  expect(await readdir(folder)).toEqual(["users.jsonl"]);
});

test("text that is not UTF-8 and a line of 10 MB are refused by their numbers", async () => {
  const { env, users, folder } = await target();
  const file = join(folder, "users.jsonl");
  const long = JSON.stringify({ external_id: "long", user: { bio: "x".repeat(10_000_000) } });
  const latin1 = Buffer.from('{"external_id":"latin1","user":{"name":"Zo\u00EB"}}', "latin1");
  await writeFile(
    file,
    Buffer.concat([Buffer.from(`${long}\n`), latin1, Buffer.from(`\n${JSON.stringify(row(1))}\n`)]),
  );
  const { code, stderr } = await runMuster(["user", "import", file], env);
  expect(code).toBe(3);
  expect(jsonLines(stderr.split("\n").slice(0, 2).join("\n"))).toEqual([
    { line: 1, reason: "REQUEST_INVALID", message: "is longer than 1048576 bytes" },
    { line: 2, reason: "REQUEST_INVALID", message: "is not UTF-8" },
  ]);
  expect((await users.listUsers({})).users.map(({ externalId }) => externalId)).toEqual(["u1"]);
});

test("killed again and again at any moment and run once more, every row is in once and refused rows are told once", async () => {
  const { env, users, write, folder, projectId } = await target();
  const bad = (i: number) => ({ external_id: `bad${i}`, user: { email: "none" } });
  const file = await write(
    "users.jsonl",
    Array.from({ length: 12_000 }, (_, i) => (i % 100 === 99 ? bad(i) : row(i))),
  );
  const errors = join(folder, "errors.jsonl");
  const command = ["user", "import", file, "--errors", errors, "--parallel", "2"];
  for (let run = 0; run < 4; run++) {
    const { process, outcome } = spawnMuster(command, env);
    const hasState = async () => {
      while (process.exitCode === null && !existsSync(`${file}.muster-state`)) await sleep(5);
    };
    await hasState();
    await sleep(randomInt(0, 250));
    process.kill("SIGKILL");
    await outcome;
  }
  const last = await runMuster([...command, "--json"], env);
  expect(last.code).toBe(3);
  expect(JSON.parse(last.stderr.split("\n").at(-2) ?? "")).toMatchObject({ rows: 12_000, refused: 120 });
  expect((await stat(errors)).mode & 0o777).toBe(0o600);
  const told = jsonLines(await readFile(errors, "utf8"));
  expect(told.map(({ line }) => line)).toEqual(Array.from({ length: 120 }, (_, i) => i * 100 + 100));
  expect((await users.listUsers({ withTotal: true })).totalSize).toBe(11_880);
  expect(await settledUserEvents(db, projectId)).toHaveLength(11_880);
});

test.each(["SIGINT", "SIGTERM"] as const)(
  "%s ends it with 130 once what is under way is settled, and it goes on from there",
  async (signal) => {
    const { env, users, write } = await target();
    const file = await write("users.jsonl", rows(9_000));
    const state = `${file}.muster-state`;
    const { process, outcome } = spawnMuster(["user", "import", file, "--parallel", "1"], env);
    while (!existsSync(state)) await sleep(5);
    process.kill(signal);
    const { code, stderr } = await outcome;
    expect(code).toBe(130);
    expect(stderr).toContain(`run it again to go on: ${state}`);
    expect((await stat(state)).mode & 0o777).toBe(0o600);
    const { line } = JSON.parse(await readFile(state, "utf8"));
    expect((await users.listUsers({ withTotal: true })).totalSize).toBe(line);
    const again = await runMuster(["user", "import", file], env);
    expect(again.code).toBe(0);
    expect(again.stderr).toContain("going on behind line");
    expect(again.stderr).toMatch(/^9,000 rows: 9,000 created/m);
  },
);

test("a state is of one project and one file: with others it is refused until the import is begun anew", async () => {
  const { env, write, users } = await target();
  const other = await target();
  const file = await write("users.jsonl", rows(3_000));
  const { process, outcome } = spawnMuster(["user", "import", file, "--parallel", "1"], env);
  while (!existsSync(`${file}.muster-state`)) await sleep(2);
  process.kill("SIGINT");
  await outcome;
  const elsewhere = await runMuster(["user", "import", file], other.env);
  expect(elsewhere).toMatchObject({ code: 1, stdout: "" });
  expect(elsewhere.stderr).toContain("into another project: use --restart");
  await writeFile(file, JSON.stringify(row(7)));
  const changed = await runMuster(["user", "import", file], env);
  expect(changed.code).toBe(1);
  expect(changed.stderr).toContain("use --restart to begin anew");
  const anew = await runMuster(["user", "import", file, "--restart"], env);
  expect(anew.code).toBe(0);
  expect(anew.stderr).toMatch(/^1 rows/);
  expect((await users.listUsers({ withTotal: true })).totalSize).toBeGreaterThanOrEqual(1_000);
});

test("standard input is gone on with where it is given a file for the state", async () => {
  const { env, folder, users, write } = await target();
  const state = join(folder, "state");
  const file = await write("users.jsonl", rows(6_000));
  const { process, outcome } = spawnMuster(["user", "import", file, "--state", state, "--parallel", "1"], env);
  while (!existsSync(state)) await sleep(5);
  process.kill("SIGKILL");
  await outcome;
  const { code, stderr } = await runMuster(["user", "import", "-", "--state", state], env, await readFile(file));
  expect(code).toBe(0);
  expect(stderr).toContain("going on behind line");
  expect((await users.listUsers({ withTotal: true })).totalSize).toBe(6_000);
  expect(existsSync(state)).toBe(false);
});

test("a server that stops and starts again in the middle is waited for", async () => {
  const { env, server, users, write } = await target();
  const file = await write("users.jsonl", rows(6_000));
  const { process, outcome } = spawnMuster(["user", "import", file, "--parallel", "1"], env);
  while (!existsSync(`${file}.muster-state`)) await sleep(2);
  await server.server[Symbol.asyncDispose]();
  await sleep(300);
  const { operatorKey, encryptionKeys } = server.config;
  const port = Number(new URL(server.url).port);
  const again = await startTestServer({ address: db.address, config: { port, operatorKey, encryptionKeys } });
  expect(again.url).toBe(server.url);
  const { code, stderr } = await outcome;
  expect({ code, process: process.exitCode }).toEqual({ code: 0, process: 0 });
  expect(stderr).toContain("it is tried again");
  expect((await users.listUsers({ withTotal: true })).totalSize).toBe(6_000);
});

test("what is wrong with the command itself is said, and nothing is sent", async () => {
  const { env, folder } = await target();
  const absent = await runMuster(["user", "import", join(folder, "absent")], env);
  expect(absent).toEqual({ code: 1, stdout: "", stderr: `muster: ${join(folder, "absent")} does not exist\n` });
  expect((await runMuster(["user", "import", folder], env)).stderr).toContain("is a folder");
  expect((await runMuster(["user", "import", "-", "--parallel", "17"], env)).code).toBe(2);
  expect((await runMuster(["user", "import"], env)).code).toBe(2);
  const { MUSTER_ACCESS_KEY: _, ...keyless } = env;
  const unknown = await runMuster(["user", "import", "-"], { ...keyless, MUSTER_DATA_DIR: folder }, "");
  expect(unknown.stderr).toContain("set MUSTER_ACCESS_KEY");
  const stranger = {
    ...env,
    MUSTER_ACCESS_KEY: env.MUSTER_ACCESS_KEY.replace(/.$/, (last) => (last === "A" ? "B" : "A")),
  };
  expect(await runMuster(["user", "import", "-", "--json"], stranger, "")).toMatchObject({ code: 1, stdout: "" });
  for (const name of ["import", "export"]) {
    const { code, stdout } = await runMuster(["user", name, "--help"]);
    expect(code).toBe(0);
    expect(stdout).toContain("MUSTER_ACCESS_KEY");
    expect(stdout).toContain("Exit codes: 0");
  }
});
