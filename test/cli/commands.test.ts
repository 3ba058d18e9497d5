import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { emptyDatabaseAddress, testDatabaseAddress } from "../support/database.ts";
import { runMuster, runNode, settingsFor, startMuster, temporaryFolder } from "../support/muster-process.ts";

const LAUNCHER = fileURLToPath(new URL("../../bin/muster.js", import.meta.url));
const production = settingsFor(await testDatabaseAddress());
const empty = settingsFor(await emptyDatabaseAddress());

async function json(args: string[], env: Record<string, string>) {
  const { code, stdout, stderr } = await runMuster([...args, "--json"], env);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return JSON.parse(stdout);
}

test("projects and keys are made, looked at, changed and deleted from the command line", async () => {
  const { url } = await startMuster(production);
  const env = { ...production, MUSTER_URL: url };
  const made = await json(
    ["project", "create", "Shop", "--token-ttl", "2h", "--guest-ttl", "48h", "--cors-origin", "https://a.example"],
    env,
  );
  expect(made).toMatchObject({ display_name: "Shop", settings: { token_ttl: "7200s", guest_ttl: "172800s" } });
  const answers = ["--users-may-delete-themselves", "no", "--one-click-logout", "yes"];
  const settings = ["--signing-algorithm", "es256", ...answers, "--name", "Shop 2"];
  const changed = await json(["project", "update", made.id, ...settings], env);
  expect(changed.settings).toMatchObject({ signing_algorithm: "SIGNING_ALGORITHM_ES256", token_ttl: "7200s" });
  expect(changed.settings).toMatchObject({ users_may_delete_themselves: false, one_click_logout: true });
  expect(changed.settings.cors_origins).toEqual(["https://a.example"]);
  expect(await json(["project", "get", made.id], env)).toEqual(changed);
  expect(await json(["project", "list"], env)).toContainEqual(changed);

  const { access_key, key } = await json(["key", "create", "backend", "--project", made.id], env);
  expect(access_key).toMatch(new RegExp(`^msk_${key.id}_`));
  expect((await json(["key", "revoke", key.id, "--project", made.id], env)).revoke_time).toBeTruthy();
  const [listed] = await json(["key", "list", "--project", made.id], env);
  expect(listed).toMatchObject({ id: key.id, display_name: "backend" });
  expect(listed.revoke_time).toBeTruthy();

  const unconfirmed = await runMuster(["project", "delete", made.id], env);
  expect(unconfirmed.code).toBe(2);
  expect(await json(["project", "delete", made.id, "--yes"], env)).toEqual({ deleted: made.id });
  const gone = await runMuster(["project", "get", made.id, "--json"], env);
  expect(gone).toMatchObject({ code: 1, stdout: "" });
  expect(JSON.parse(gone.stderr).error.reason).toBe("PROJECT_NOT_FOUND");
});

test("signing keys are listed and rotated from the command line; to revoke all it has to be said that it is meant", async () => {
  const { url } = await startMuster(production);
  const env = { ...production, MUSTER_URL: url };
  const { id } = await json(["project", "create", "Keys"], env);
  const [first, ...others] = await json(["signing-key", "list", "--project", id], env);
  expect(first).toMatchObject({ algorithm: "SIGNING_ALGORITHM_ED25519", state: "SIGNING_KEY_STATE_ACTIVE" });
  expect(others).toEqual([]);

  const prepared = await json(["signing-key", "rotate", "--mode", "graceful", "--project", id], env);
  expect(prepared).toMatchObject({ state: "SIGNING_KEY_STATE_PREPARED", live_tokens: "0" });
  const { stdout } = await runMuster(["signing-key", "list", "--project", id], env);
  const rows = stdout.trimEnd().split("\n");
  expect(rows.map((row) => row.split(/ +/)[0])).toEqual(["id", prepared.id, first.id]);

  const revoke = ["signing-key", "rotate", "--mode", "revoke-all", "--project", id];
  const unconfirmed = await runMuster(revoke, env);
  expect(unconfirmed).toMatchObject({ code: 1, stdout: "" });
  expect(unconfirmed.stderr).toContain("--yes");
  const fresh = await json([...revoke, "--yes"], env);
  expect(await json(["signing-key", "list", "--project", id], env)).toEqual([fresh]);
});

test("against a development server nothing has to be set, and its operator key goes to no other server", async () => {
  const env = { MUSTER_LOG_LEVEL: "silent", MUSTER_DATA_DIR: await temporaryFolder() };
  await startMuster(env);
  const { stdout } = await runMuster(["project", "list"], env);
  const [heading, row, ...rest] = stdout.trimEnd().split("\n");
  expect(heading).toMatch(/^id +display_name +create_time$/);
  expect(row).toMatch(/^[0-9a-f-]{36} {2}Development +\d{4}-/);
  expect(rest).toEqual([]);
  const [listed, ...others] = await json(["key", "list"], env);
  expect(listed.display_name).toBe("Development");
  expect(others).toEqual([]);

  const { code, stderr } = await runMuster(["project", "list", "--url", "http://127.0.0.1:9"], env);
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: "muster: The operator key of http://127.0.0.1:9 is not known: set MUSTER_OPERATOR_KEY\n",
  });
});

test("a server that is not there is said not to be reached", async () => {
  const env = { MUSTER_URL: "http://127.0.0.1:9", MUSTER_OPERATOR_KEY: "mop_q3Zt7Lw0bX9dVn2KcR5sYh8JmUe4Ga1P" };
  const { code, stderr } = await runMuster(["project", "list"], env);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^muster: The server cannot be reached: .*\n$/);
});

test("migrate brings a database up to date once", async () => {
  expect((await json(["migrate"], empty)).migrations.length).toBeGreaterThan(0);
  expect(await json(["migrate"], empty)).toEqual({ migrations: [] });
  expect((await runMuster(["migrate"], empty)).stdout).toBe("The schema is up to date\n");
});

test.each([
  { args: ["--help"], code: 0 },
  { args: ["--version"], code: 0 },
  { args: ["serve", "--help"], code: 0 },
  { args: ["project", "update", "--help"], code: 0 },
  { args: ["key", "revoke", "--help"], code: 0 },
  { args: ["signing-key", "rotate", "--help"], code: 0 },
  { args: ["signing-key", "rotate"], code: 2 },
  { args: ["signing-key", "rotate", "--mode", "hard"], code: 2 },
  { args: [], code: 2 },
  { args: ["nonsense"], code: 2 },
  { args: ["project", "get"], code: 2 },
  { args: ["project", "create", "a", "--token-ttl", "soon"], code: 2 },
  { args: ["project", "list", "--url", "localhost"], code: 2 },
])("muster $args ends with $code", async ({ args, code }) => {
  const outcome = await runMuster(args);
  expect(outcome.code).toBe(code);
  expect(code === 0 ? outcome.stdout : outcome.stderr).not.toBe("");
});

test("the launcher runs on an older Node as well, by handing over to the pinned one", async () => {
  const older = 'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.0.0" } })';
  const launch = ["--import", `data:text/javascript,${encodeURIComponent(older)}`, LAUNCHER];
  expect((await runNode([...launch, "project", "--help"])).stdout).toContain("Usage: muster project");
  expect((await runNode([...launch, "nonsense"])).code).toBe(2);
  expect((await runNode([LAUNCHER, "nonsense"])).code).toBe(2);
});
