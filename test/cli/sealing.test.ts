import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { expect, test } from "vitest";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { createSealer } from "../../src/sealing.ts";
import { emptyDatabaseAddress, testDatabaseAddress } from "../support/database.ts";
import { type MusterProcess, runMuster, settingsFor, startMuster, temporaryFolder } from "../support/muster-process.ts";
import { reach } from "../support/start-test-server.ts";

/** Tokens name the public URL as their issuer, wherever the server listens. */
const production: Record<string, string> = {
  ...settingsFor(await testDatabaseAddress()),
  MUSTER_PUBLIC_URL: "http://id.example",
};
const [old, fresh] = [Buffer.from(production["MUSTER_ENCRYPTION_KEY"] ?? "", "base64"), randomBytes(32)];
const [oldId, freshId] = createSealer([old, fresh]).keyIds;
/** The environment with these encryption keys. */
const sealedBy = (...keys: Buffer[]) => ({
  ...production,
  MUSTER_ENCRYPTION_KEY: keys.map((key) => key.toString("base64")).join(","),
});

async function json(args: string[], env: Record<string, string>) {
  const { code, stdout, stderr } = await runMuster([...args, "--json"], env);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout);
}

async function stop({ process }: MusterProcess): Promise<void> {
  process.kill("SIGTERM");
  await once(process, "exit");
}

const serverAt = ({ url }: MusterProcess) => reach(url, production["MUSTER_OPERATOR_KEY"] ?? "");

/** Issues tokens one after the other until it is told to stop; gives them. */
function issueOn(issue: () => Promise<string>): () => Promise<string[]> {
  let stopped = false;
  const run = async () => {
    const tokens: string[] = [];
    while (!stopped) tokens.push(await issue());
    return tokens;
  };
  const running = run();
  return () => {
    stopped = true;
    return running;
  };
}

test("the encryption key is rotated while a server issues tokens; then it starts without the old one, and not before", async () => {
  const first = await startMuster(sealedBy(old));
  const project = await serverAt(first).project();
  const { id, token } = await project.signedInUser("alice");
  await stop(first);

  const server = await startMuster(sealedBy(fresh, old));
  const tokens = serverAt(server).client(TokenService, project.accessKey);
  const ref = { ref: { case: "id", value: id } } as const;
  const stopIssuing = issueOn(async () => (await tokens.issueToken({ ref })).signedToken);
  await serverAt(server).project();
  expect(await json(["sealing", "status"], sealedBy(fresh, old))).toEqual([
    { key_id: freshId, use: "seals", secrets: 1, in: ["signing_keys 1"] },
    { key_id: oldId, use: "opens", secrets: 1, in: ["signing_keys 1"] },
  ]);
  const tooEarly = await runMuster(["serve"], sealedBy(fresh));
  expect(tooEarly).toMatchObject({ code: 1, stdout: "" });
  expect(tooEarly.stderr).toContain(oldId);

  expect(await json(["sealing", "rotate"], sealedBy(fresh, old))).toEqual({ resealed: 1, remaining: 0 });
  expect(await json(["sealing", "status"], sealedBy(fresh, old))).toMatchObject([
    { key_id: freshId, secrets: 2 },
    { key_id: oldId, secrets: 0 },
  ]);
  const issued = [token, ...(await stopIssuing())];
  expect(issued.length).toBeGreaterThan(1);
  await stop(server);

  const last = serverAt(await startMuster(sealedBy(fresh))).client(TokenService, project.accessKey);
  issued.push((await last.issueToken({ ref })).signedToken);
  for (const it of [token, ...issued.slice(-3)])
    expect(await last.verifyToken({ token: it })).toMatchObject({ active: true });
  const wrong = await runMuster(["serve"], sealedBy(old));
  expect(wrong).toMatchObject({ code: 1, stdout: "" });
  expect(wrong.stderr).toContain(freshId);
});

test("sealing says what it lacks", async () => {
  const { MUSTER_ENCRYPTION_KEY: _, ...without } = production;
  const keyless = await runMuster(["sealing", "status"], without);
  expect(keyless).toMatchObject({
    code: 1,
    stderr: "muster: MUSTER_ENCRYPTION_KEY must be set, as the servers have it\n",
  });
  const empty = await runMuster(["sealing", "rotate"], settingsFor(await emptyDatabaseAddress()));
  expect(empty).toMatchObject({ code: 1, stderr: "muster: The schema is not up to date: run muster migrate first\n" });
});

test("sealing of a development server works with the secrets of its data folder", async () => {
  const env = { MUSTER_LOG_LEVEL: "silent", MUSTER_DATA_DIR: await temporaryFolder() };
  await stop(await startMuster(env));
  const [key, ...others] = await json(["sealing", "status"], env);
  expect(key).toMatchObject({ use: "seals", secrets: 1 });
  expect(others).toEqual([]);
  expect(await json(["sealing", "rotate"], env)).toEqual({ resealed: 0, remaining: 0 });
});
