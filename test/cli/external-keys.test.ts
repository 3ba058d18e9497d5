import { createPrivateKey } from "node:crypto";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { keyPair, signJws } from "../external-auth/external-fixture.ts";
import { testDatabase } from "../support/database.ts";
import { runMuster, temporaryFolder } from "../support/muster-process.ts";
import { startTestServer } from "../support/start-test-server.ts";

const db = await testDatabase();
const pair = keyPair("ES256");

/** A project and a command line that is about it. */
async function commandLine() {
  const server = await startTestServer({ address: db.address });
  const project = await server.project();
  const folder = await temporaryFolder();
  const pem = join(folder, "public.pem");
  await writeFile(pem, pair.pem);
  const env = { MUSTER_URL: server.url, MUSTER_ACCESS_KEY: project.accessKey };
  const run = (...args: string[]) => runMuster(args, env);
  const json = async (...args: string[]) => {
    const { code, stdout, stderr } = await run(...args, "--json");
    expect([code, stderr]).toEqual([0, ""]);
    return JSON.parse(stdout);
  };
  const jwt = (claims: object = {}) => {
    const now = Math.floor(Date.now() / 1_000);
    return signJws(pair, { alg: "ES256" }, { iss: project.id, sub: "ada", iat: now, exp: now + 60, ...claims });
  };
  return { project, run, json, jwt, env, folder, pem };
}

describe("muster key external", () => {
  test("registers a key from PEM, from a JWK and from standard input, and lists what counts", async () => {
    const { run, json, env, pem } = await commandLine();
    const one = await json("key", "external", "set", "--pem", pem);
    expect(one).toMatchObject({ state: "EXTERNAL_KEY_STATE_CURRENT", algorithm: "ES256" });
    const jwk = JSON.stringify({ ...keyPair("RS256").jwk, kid: "two" });
    const args = ["key", "external", "set", "--jwk", "-", "--algorithm", "PS256", "--previous-ttl", "2h", "--json"];
    const two = JSON.parse((await runMuster(args, env, jwk)).stdout);
    expect(two).toMatchObject({ key_id: "two", algorithm: "PS256" });
    const { stdout } = await run("key", "external", "list");
    const rows = stdout.trimEnd().split("\n");
    expect(rows.map((row) => row.split(/ +/).slice(0, 3))).toEqual([
      ["id", "state", "algorithm"],
      [two.id, "EXTERNAL_KEY_STATE_CURRENT", "PS256"],
      [one.id, "EXTERNAL_KEY_STATE_PREVIOUS", "ES256"],
    ]);
    await json("key", "external", "set", "--pem", pem, "--revoke-previous");
    expect(await json("key", "external", "list")).toHaveLength(1);
  });

  test("says what is wrong with a key, and which is missing", async () => {
    const { run, folder, pem } = await commandLine();
    const secret = join(folder, "private.pem");
    await writeFile(secret, String(pair.privateKey.export({ format: "pem", type: "pkcs8" })));
    const refused = await run("key", "external", "set", "--pem", secret, "--json");
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(JSON.parse(refused.stderr).error.reason).toBe("REQUEST_INVALID");
    expect((await run("key", "external", "set")).stderr).toContain("one of --pem, --jwk and --jwks-uri");
    expect((await run("key", "external", "set", "--pem", join(folder, "none"))).stderr).toContain("does not exist");
    expect((await run("key", "external", "set", "--pem", pem, "--algorithm", "HS256")).code).toBe(2);
  });

  test("has a key generated: the private one goes to standard output alone, or into a new file for this user alone", async () => {
    const { run, json, folder } = await commandLine();
    const { code, stdout, stderr } = await run("key", "external", "generate", "--algorithm", "ES384");
    expect([code, createPrivateKey(stdout).asymmetricKeyDetails?.namedCurve]).toEqual([0, "secp384r1"]);
    expect(stderr).toContain("ES384");
    const out = join(folder, "generated.pem");
    const made = await json("key", "external", "generate", "--out", out);
    expect(made).toMatchObject({ algorithm: "EdDSA", private_key_file: out });
    expect(JSON.stringify(made)).not.toContain("PRIVATE KEY");
    expect((await stat(out)).mode & 0o777).toBe(0o600);
    const key = await readFile(out, "utf8");
    expect(createPrivateKey(key).asymmetricKeyType).toBe("ed25519");
    const again = await run("key", "external", "generate", "--out", out);
    expect([again.code, again.stderr]).toEqual([1, `muster: Cannot write ${out}: it is there already\n`]);
    expect([await readFile(out, "utf8"), (await json("key", "external", "list"))[0].id]).toEqual([key, made.id]);
  });

  test("leaves no file where no key was made", async () => {
    const { env, folder } = await commandLine();
    const out = join(folder, "not-made.pem");
    const refused = await runMuster(["key", "external", "generate", "--out", out], {
      ...env,
      MUSTER_ACCESS_KEY: "msk_x",
    });
    expect(refused.code).toBe(1);
    await expect(stat(out)).rejects.toThrow("ENOENT");
  });

  test("tells its commands and their options", async () => {
    const { run } = await commandLine();
    const group = await run("key", "external", "--help");
    expect([group.code, group.stdout]).toEqual([0, expect.stringContaining("generate")]);
    const help = await run("key", "external", "set", "--help");
    expect([help.code, help.stdout]).toEqual([0, expect.stringContaining("--jwks-uri")]);
    expect((await run("key", "external", "melt")).code).toBe(2);
  });
});

describe("muster token explain", () => {
  test("prints each check and what would be written, and ends with 0", async () => {
    const { run, json, jwt, env, project, pem } = await commandLine();
    await json("key", "external", "set", "--pem", pem);
    const good = await runMuster(["token", "explain"], env, `${jwt({ userData: { name: "Ada" } })}\n`);
    expect([good.code, good.stderr]).toEqual([0, ""]);
    const lines = good.stdout.trimEnd().split("\n");
    expect(lines[0]).toMatch(/^check +verdict +detail$/);
    expect(lines.slice(1, -1).map((line) => line.split(/ +/).slice(0, 2))).toEqual(
      "form keys project key signature subject times age profile single_use user"
        .split(" ")
        .map((name) => [name, "passed"]),
    );
    expect(lines.at(-1)).toBe("The sign-in would make a user with external_id, name.");
    await project.system(UserService).upsertUser({ externalId: "ada", user: { name: "Ada" } });
    const known = await run("token", "explain", jwt({ userData: { name: "Ada" } }));
    expect(known.stdout.trimEnd().split("\n").at(-1)).toBe("The sign-in would change nothing of the user.");
    expect(await json("token", "explain", jwt({ userData: { bio: "x" } }))).toMatchObject({ would_update: ["bio"] });
  });

  test("ends with 3 where a check did not pass", async () => {
    const { run, json, jwt, pem } = await commandLine();
    const none = await run("token", "explain", jwt());
    expect([none.code, none.stdout]).toEqual([
      3,
      expect.stringMatching(/keys +FAILED +the project has no external key/),
    ]);
    await json("key", "external", "set", "--pem", pem);
    const over = await run("token", "explain", jwt({ exp: 1 }), "--json");
    expect(over.code).toBe(3);
    const { checks } = JSON.parse(over.stdout) as { checks: { name: string; passed: boolean }[] };
    expect(checks.filter(({ passed }) => !passed).map(({ name }) => name)).toEqual(["times"]);
    const missing = await run("token", "explain", "", "--json");
    expect([missing.code, JSON.parse(missing.stderr).error.reason]).toEqual([1, "EXTERNAL_JWT_MISSING"]);
  });
});
