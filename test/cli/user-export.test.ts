import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { testDatabase } from "../support/database.ts";
import { MAIN, runMuster, temporaryFolder } from "../support/muster-process.ts";
import { NAUGHTY_STRINGS } from "../support/naughty-strings.ts";
import { startTestServer } from "../support/start-test-server.ts";

const db = await testDatabase();

/** A server with a project, and the settings of a command line that reads and writes its users. */
async function roll(server?: Awaited<ReturnType<typeof startTestServer>>) {
  const it = server ?? (await startTestServer({ address: db.address }));
  const { accessKey, system } = await it.project();
  const env = { MUSTER_URL: it.url, MUSTER_ACCESS_KEY: accessKey };
  const users = system(UserService);
  const exported = async (...args: string[]) => {
    const { code, stdout } = await runMuster(["user", "export", ...args], env);
    expect(code).toBe(0);
    return stdout;
  };
  return { server: it, env, users, exported };
}

const jsonLines = (text: string) =>
  text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));

test("what is exported and imported into another project is exported there byte for byte, naughty strings included", async () => {
  const from = await roll();
  const into = await roll(from.server);
  for (const { users } of [from, into])
    await users.defineAttribute({ definition: { key: "note", contentTypes: ["text/plain"], canBeEmpty: true } });
  const { results } = await from.users.batchUpsertUsers({
    users: NAUGHTY_STRINGS.map((text, i) => ({
      externalId: Buffer.byteLength(text) <= 255 ? text : `naughty-${i}`,
      user: {
        login: `login${i}`,
        name: text.length <= 255 ? text : "",
        email: `user.${i}@example.com`,
        emailVerified: i % 2 === 0,
        bio: text,
        metadata: { text, n: i / 3 },
        privateMetadata: { [`k${i}`]: [text, null, true] },
        attributes: { note: { contentType: "text/plain", value: { case: "text" as const, value: text } } },
        tags: i % 3 ? [] : ["a", "b"],
        reputation: BigInt(i) * -(2n ** 40n),
        birthdate: { year: 1900 + (i % 100), month: 2, day: 28 },
        location: { latitude: i / 7, longitude: -i / 3 },
        timeZone: "Europe/Berlin",
      },
    })),
  });
  // The protocol of a batch takes them all, but for what the contract refuses in an external id or a bio.
  expect(results.filter(({ user }) => user).length).toBeGreaterThan(200);
  const lines = await from.exported();
  expect(jsonLines(lines)).toHaveLength(results.filter(({ user }) => user).length);
  const imported = await runMuster(["user", "import", "-"], into.env, lines);
  expect(imported.stderr).toMatch(/^\d+ rows: \d+ created, 0 changed, 0 unchanged, 0 refused/);
  expect(await into.exported()).toBe(lines);
});

test("lines hold what an import writes; with --all-fields also what the server sets, which an import passes over", async () => {
  const { users, env, exported } = await roll();
  const { user } = await users.upsertUser({ externalId: "7", user: { name: "Ada", email: "ada@example.com" } });
  await users.upsertUser({ externalId: "8" });
  expect(await exported()).toBe(
    '{"external_id":"7","user":{"name":"Ada","email":"ada@example.com"}}\n{"external_id":"8","user":{}}\n',
  );
  const whole = await exported("--all-fields");
  expect(jsonLines(whole)[0]).toMatchObject({
    external_id: "7",
    user: { id: user?.id, locators: [{ value: "ada@example.com" }], etag: "v1", create_time: expect.any(String) },
  });
  expect((await runMuster(["user", "import", "-"], env, whole)).code).toBe(0);
  expect((await users.getUser({ ref: { ref: { case: "externalId", value: "7" } } })).user).toEqual(user);
});

test("an export to a file makes a new one that only its owner reads, and goes on behind the last whole line", async () => {
  const { users, env, exported } = await roll();
  await users.batchUpsertUsers({ users: Array.from({ length: 1_000 }, (_, i) => ({ externalId: `a${i}` })) });
  await users.batchUpsertUsers({ users: Array.from({ length: 700 }, (_, i) => ({ externalId: `b${i}` })) });
  const file = join(await temporaryFolder(), "users.jsonl");
  const first = await runMuster(["user", "export", "--output", file, "--json"], env);
  expect(first).toMatchObject({ code: 0, stdout: "" });
  expect(JSON.parse(first.stderr)).toMatchObject({ users: 1_700 });
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const whole = await readFile(file, "utf8");
  expect(whole).toBe(await exported());

  const refused = await runMuster(["user", "export", "--output", file], env);
  expect(refused).toMatchObject({ code: 1, stderr: `muster: Cannot write ${file}: there is such a file\n` });
  expect(await readFile(file, "utf8")).toBe(whole);
  for (const bytes of [Buffer.byteLength(whole), Buffer.byteLength(whole) - 1, 20_000, 30, 10, 0]) {
    await truncate(file, bytes);
    expect(await runMuster(["user", "export", "--output", file, "--resume"], env)).toMatchObject({ code: 0 });
    expect(await readFile(file, "utf8")).toBe(whole);
  }
});

test("a file that is no export is not gone on with, and stays as it is", async () => {
  const { env } = await roll();
  const file = join(await temporaryFolder(), "letter.txt");
  await writeFile(file, "Dear all,\nyours.\n");
  const { code, stderr } = await runMuster(["user", "export", "--output", file, "--resume"], env);
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: `muster: ${file} is no export of users: its last whole line names none\n`,
  });
  expect(await readFile(file, "utf8")).toBe("Dear all,\nyours.\n");
  expect((await runMuster(["user", "export", "--resume"], env)).stderr).toContain("name it with --output");
});

test("a reader that leaves ends the export quietly", async () => {
  const { users, env } = await roll();
  const user = { bio: "x".repeat(4_000) };
  await users.batchUpsertUsers({ users: Array.from({ length: 200 }, (_, i) => ({ externalId: `u${i}`, user })) });
  const child = spawn(process.execPath, [MAIN, "user", "export"], { env: { PATH: process.env["PATH"], ...env } });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdout.once("data", () => child.stdout.destroy());
  const [code] = await once(child, "exit");
  expect({ code, stderr }).toEqual({ code: 141, stderr: "" });
});

test("a reader that is slow gets everything", async () => {
  const { users, env, exported } = await roll();
  const user = { metadata: { text: "x".repeat(2_000) } };
  const count = 1_500;
  for (const half of [0, 1, 2])
    await users.batchUpsertUsers({
      users: Array.from({ length: count / 3 }, (_, i) => ({ externalId: `u${half}-${i}`, user })),
    });
  const child = spawn(process.execPath, [MAIN, "user", "export"], { env: { PATH: process.env["PATH"], ...env } });
  let text = "";
  for await (const chunk of child.stdout.setEncoding("utf8")) {
    text += chunk;
    if (text.length < 300_000) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(jsonLines(text)).toHaveLength(count);
  expect(text).toBe(await exported());
});

test("users whose metadata fill an answer come in smaller pages", async () => {
  const { users, exported } = await roll();
  const metadata = { text: "x".repeat(60_000) };
  for (let i = 0; i < 300; i += 10)
    await users.batchUpsertUsers({
      users: Array.from({ length: 10 }, (_, j) => ({ externalId: `u${i + j}`, user: { metadata } })),
    });
  await expect(users.listUsers({ pageSize: 1_000 })).rejects.toThrow("resource_exhausted");
  const lines = await exported();
  expect(jsonLines(lines)).toHaveLength(300);
  const into = await roll();
  const imported = await runMuster(["user", "import", "-"], into.env, lines);
  expect(imported.stderr).toMatch(/^300 rows: 300 created/);
});
