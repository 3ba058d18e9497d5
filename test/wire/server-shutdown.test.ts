import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { startEmbeddedPostgres } from "../../src/db/embedded-postgres.ts";
import { openDatabase } from "../../src/db/orm.ts";
import { ENTITIES } from "../../src/entities.ts";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { createLogger } from "../../src/logger.ts";
import { testDatabaseAddress } from "../support/database.ts";
import { holdUsers } from "../support/held-user.ts";
import { settingsFor, startMuster, temporaryFolder } from "../support/muster-process.ts";
import { reasonOf } from "../support/refusal.ts";
import { RevocationReader } from "../support/revocation-reader.ts";
import { PROTOCOLS, reach } from "../support/start-test-server.ts";
import { openWatch } from "../support/watch.ts";

const address = await testDatabaseAddress();

test("SIGTERM says goodbye on every stream, lets the calls under way finish, and ends the process with 0", async () => {
  const settings = settingsFor(address);
  const muster = await startMuster(settings);
  const server = reach(muster.url, settings["MUSTER_OPERATOR_KEY"] ?? "");
  const project = await server.project();
  const { user } = await project.system(UserService).upsertUser({ externalId: "ada" });
  const watches = await Promise.all(
    PROTOCOLS.map((protocol) => openWatch(server.transport(protocol, project.accessKey), [user?.id ?? ""])),
  );
  const readers = PROTOCOLS.map(
    (protocol) => new RevocationReader(server.client(TokenService, project.accessKey, protocol)),
  );
  await expect.poll(() => readers.flatMap(({ kinds }) => kinds)).toEqual(PROTOCOLS.map(() => "snapshotComplete"));
  const held = await holdUsers(address, project.id);
  const calls = PROTOCOLS.map((protocol) =>
    server.client(UserService, project.accessKey, protocol).upsertUser({ externalId: "ada", user: { name: protocol } }),
  );
  await expect.poll(held.waiting).toBe(calls.length);
  muster.process.kill("SIGTERM");
  for (const watch of watches) {
    expect((await watch.next()).case).toBe("goodbye");
    expect(await reasonOf(watch.next())).toBe("SHUTTING_DOWN");
  }
  for (const reader of readers) {
    expect(await reader.ended).toBe("SHUTTING_DOWN");
    expect(reader.kinds.at(-1)).toBe("goodbye");
  }
  await held.release();
  const names = (await Promise.all(calls)).map((answer) => answer.user?.name);
  expect(names).toEqual([...PROTOCOLS]);
  expect(await muster.outcome).toMatchObject({ code: 0, stderr: "" });
});

/** Ends the database of a data folder without a moment to prepare for it. */
async function killDatabase(folder: string): Promise<void> {
  const [pid] = (await readFile(join(folder, "data", "postmaster.pid"), "utf8")).split("\n");
  process.kill(Number(pid), "SIGKILL");
}

/** The external ids that have not exactly one `user.created`, in the database of a data folder that nobody serves. */
async function withoutOneEvent(folder: string): Promise<unknown[]> {
  await using resources = new AsyncDisposableStack();
  const postgres = resources.use(await startEmbeddedPostgres({ folder }));
  const options = { poolSize: 2, statementTimeoutMs: 30_000 };
  const db = resources.use(await openDatabase(postgres.address, ENTITIES, options, createLogger("silent")));
  const { rows } = await db.pool.query(`
    select u.external_id, count(e.id) from users u
    left join events e on e.project_id = u.project_id and e.user_id = u.id and e.type = 'user.created'
    group by u.project_id, u.id having count(e.id) <> 1`);
  return rows;
}

describe("kill -9 at full speed loses no user that was acknowledged, and leaves none half made:", () => {
  test.each([
    ["the server", false],
    ["the server and its database", true],
  ])("%s", async (_, databaseToo) => {
    const folder = await temporaryFolder();
    const settings = { MUSTER_DATA_DIR: folder, MUSTER_LOG_LEVEL: "silent" };
    const first = await startMuster(settings);
    const credentials = JSON.parse(await readFile(join(folder, "dev-credentials.json"), "utf8"));
    const clientOf = (url: string) => reach(url, credentials.operator_key).client(UserService, credentials.access_key);
    const users = clientOf(first.url);
    const begun: string[] = [];
    const acknowledged: string[] = [];
    const work = async () => {
      for (;;) {
        const externalId = `user-${begun.length}`;
        begun.push(externalId);
        await users.upsertUser({ externalId });
        acknowledged.push(externalId);
      }
    };
    const workers = Array.from({ length: 16 }, () => work().catch(() => {}));
    await expect.poll(() => acknowledged.length).toBeGreaterThan(500);
    if (databaseToo) await killDatabase(folder);
    first.process.kill("SIGKILL");
    await Promise.all([...workers, first.outcome]);

    const second = await startMuster(settings);
    const again = clientOf(second.url);
    for (let at = 0; at < acknowledged.length; at += 1_000) {
      const refs = acknowledged.slice(at, at + 1_000).map((value) => ({ ref: { case: "externalId" as const, value } }));
      const { missing } = await again.batchGetUsers({ refs });
      expect(missing).toEqual([]);
    }
    // A caller without an answer asks again.
    for (const externalId of begun.slice(-100)) await again.upsertUser({ externalId });
    second.process.kill("SIGTERM");
    expect((await second.outcome).code).toBe(0);
    expect(await withoutOneEvent(folder)).toEqual([]);
  });
});
