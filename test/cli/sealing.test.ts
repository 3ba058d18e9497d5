import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { expect, test } from "vitest";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { createSealer } from "../../src/sealing.ts";
import { emptyDatabaseAddress, testDatabaseAddress } from "../support/database.ts";
import { runMuster, settingsFor, startMuster, temporaryFolder } from "../support/muster-process.ts";
import { startTestServer } from "../support/start-test-server.ts";

const address = await testDatabaseAddress();
const [old, fresh] = [randomBytes(32), randomBytes(32)];
const [oldId, freshId] = createSealer([old, fresh]).keyIds;
const environment = {
  ...settingsFor(address),
  MUSTER_ENCRYPTION_KEY: [fresh, old].map((key) => key.toString("base64")).join(","),
};

/** Tokens name the public URL as their issuer, wherever the server listens. */
const startSealedBy = (...encryptionKeys: Buffer[]) =>
  startTestServer({ address, config: { encryptionKeys, publicUrl: "http://id.example" } });

async function json(args: string[], env: Record<string, string>) {
  const { code, stdout, stderr } = await runMuster([...args, "--json"], env);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout);
}

/** Does `work` again and again until it is told to stop; gives what came of it. */
function repeat<T>(work: () => Promise<T>): () => Promise<T[]> {
  let stopped = false;
  const run = async () => {
    const results: T[] = [];
    while (!stopped) results.push(await work());
    return results;
  };
  const running = run();
  // Whatever comes of it is looked at in the end.
  running.catch(() => {});
  return () => {
    stopped = true;
    return running;
  };
}

test("the encryption key is rotated while a server issues tokens; then one starts without the old key, and not before", async () => {
  const project = await (await startSealedBy(old)).project();
  const { id, token } = await project.signedInUser("alice");
  const ref = { ref: { case: "id", value: id } } as const;

  const server = await startSealedBy(fresh, old);
  await server.project();
  const tokens = server.client(TokenService, project.accessKey);
  const stopIssuing = repeat(async () => (await tokens.issueToken({ ref })).signedToken);
  expect(await json(["sealing", "status"], environment)).toEqual([
    { key_id: freshId, use: "seals", secrets: 1, audit_seals: expect.any(Number), in: ["signing_keys 1"] },
    { key_id: oldId, use: "opens", secrets: 1, audit_seals: expect.any(Number), in: ["signing_keys 1"] },
  ]);
  await expect(startSealedBy(fresh)).rejects.toThrow(oldId);
  expect(await json(["sealing", "rotate"], environment)).toEqual({ resealed: 1, remaining: 0 });
  const issued = await stopIssuing();

  const last = (await startSealedBy(fresh)).client(TokenService, project.accessKey);
  const { signedToken } = await last.issueToken({ ref });
  expect(issued.length).toBeGreaterThan(1);
  for (const it of [token, issued.at(-1) ?? "", signedToken])
    expect(await last.verifyToken({ token: it })).toMatchObject({ active: true });
  await expect(startSealedBy(old)).rejects.toThrow(freshId);
});

test("serve says in a line which key it lacks, and status that it is missing", async () => {
  await (await startSealedBy(fresh)).project();
  const other = { ...environment, MUSTER_ENCRYPTION_KEY: randomBytes(32).toString("base64") };
  const { code, stdout, stderr } = await runMuster(["serve"], other);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toMatch(new RegExp(`^muster: Secrets in signing_keys .*${freshId}.*\n$`));
  const [, ...missing] = await json(["sealing", "status"], other);
  expect(missing).toContainEqual(expect.objectContaining({ key_id: freshId, use: "missing", secrets: 3 }));
});

test("sealing says what it lacks", async () => {
  const { MUSTER_ENCRYPTION_KEY: _, ...without } = environment;
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
  const { process } = await startMuster(env);
  process.kill("SIGTERM");
  await once(process, "exit");
  expect(await json(["sealing", "status"], env)).toMatchObject([{ use: "seals", secrets: 1 }]);
});
