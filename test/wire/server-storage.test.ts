import { readFile, rename, symlink } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Code } from "@connectrpc/connect";
import { expect, onTestFinished, test } from "vitest";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../src/db/embedded-postgres.ts";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { settingsFor, startMuster, temporaryFolder } from "../support/muster-process.ts";
import { type Refusal, reasonOf, refusalOf } from "../support/refusal.ts";
import { PROTOCOLS, type Reach, reach } from "../support/start-test-server.ts";
import { openWatch } from "../support/watch.ts";

/** A database that goes and comes back at one address. */
async function startFragilePostgres() {
  const folder = await temporaryFolder();
  const host = join(folder, "socket");
  const start = async (): Promise<EmbeddedPostgres> => {
    const started = await startEmbeddedPostgres({ folder: join(folder, "postgres") });
    // Each start has a folder of its own for its socket.
    await symlink(started.address.host, `${host}.new`);
    await rename(`${host}.new`, host);
    return started;
  };
  let running = await start();
  onTestFinished(() => running[Symbol.asyncDispose]());
  return {
    address: { ...running.address, host },
    start: async () => {
      running = await start();
    },
    "is shut down": () => running[Symbol.asyncDispose](),
    "is killed": async () => {
      const [pid] = (await readFile(join(folder, "postgres", "data", "postmaster.pid"), "utf8")).split("\n");
      process.kill(Number(pid), "SIGKILL");
      await running[Symbol.asyncDispose]();
    },
  };
}

/** Calls all the time, and keeps how the calls ended. */
function load(calls: readonly (() => Promise<unknown>)[]) {
  const refusals: Refusal[] = [];
  let answered = 0;
  let over = false;
  const work = async (call: () => Promise<unknown>) => {
    while (!over) {
      const outcome = call();
      if (
        await outcome.then(
          () => true,
          () => false,
        )
      )
        answered++;
      else {
        refusals.push(await refusalOf(outcome));
        await sleep(10);
      }
    }
  };
  const workers = calls.map(work);
  return {
    refusals,
    answered: () => answered,
    stop: () => {
      over = true;
      return Promise.all(workers);
    },
  };
}

const ME = { ref: { ref: { case: "me" as const, value: true } } };

/** Calls over every protocol that need the database: some write, some read. */
function callsOn(server: Reach, accessKey: string, token: string): (() => Promise<unknown>)[] {
  return PROTOCOLS.flatMap((protocol) => {
    const system = server.client(UserService, accessKey, protocol);
    const user = server.client(UserService, token, protocol);
    let number = 0;
    const upsert = () => system.upsertUser({ externalId: `${protocol}-${number++}` });
    return [upsert, upsert, () => user.getUser(ME)];
  });
}

const statusOf = async (url: string) => (await fetch(url)).status;
const keysOf = async (url: string, projectId: string) =>
  (await fetch(`${url}/projects/${projectId}/.well-known/jwks.json`)).json();

test.each(["is shut down", "is killed"] as const)(
  "a server whose database %s under load goes on, says so, and serves again when it is back",
  async (loss) => {
    const postgres = await startFragilePostgres();
    // The calls come quicker than a user may make them.
    const settings: Record<string, string> = { ...settingsFor(postgres.address), MUSTER_RATE_LIMITS: "off" };
    const muster = await startMuster(settings);
    const server = reach(muster.url, settings["MUSTER_OPERATOR_KEY"] ?? "");
    const project = await server.project();
    const ada = await project.signedInUser("ada");
    const keys = await keysOf(muster.url, project.id);
    const watch = await openWatch(server.transport("gRPC", project.accessKey), [ada.id]);
    const { refusals, answered, stop } = load(callsOn(server, project.accessKey, ada.token));
    await expect.poll(answered).toBeGreaterThan(100);
    expect(refusals).toEqual([]);

    await postgres[loss]();
    await expect.poll(() => refusals.length).toBeGreaterThan(100);
    await expect.poll(() => statusOf(`${muster.url}/readyz`)).toBe(503);
    expect(await statusOf(`${muster.url}/healthz`)).toBe(200);
    expect(await keysOf(muster.url, project.id)).toEqual(keys);
    // Tokens are told from forgeries without the database.
    const forged = server.client(UserService, `${ada.token.slice(0, -8)}AAAAAAAA`);
    expect(await reasonOf(forged.getUser(ME))).toBe("TOKEN_INVALID");

    await postgres.start();
    const before = answered();
    await expect.poll(answered).toBeGreaterThan(before + 100);
    await expect.poll(() => statusOf(`${muster.url}/readyz`)).toBe(200);
    await stop();
    expect(new Set(refusals.map(({ reason }) => reason))).toEqual(new Set(["STORAGE_UNAVAILABLE"]));
    expect(refusals.every(({ error, retryAfter = 0 }) => error.code === Code.Unavailable && retryAfter > 0)).toBe(true);

    // The watch that was open all along goes on.
    await server.client(PresenceService, ada.token).setPresence({ ...ME, presence: { status: "back" } });
    expect(await watch.next()).toMatchObject({ case: "update", value: { presences: [{ status: "back" }] } });
    muster.process.kill("SIGTERM");
    expect((await watch.next()).case).toBe("goodbye");
    expect(await reasonOf(watch.next())).toBe("SHUTTING_DOWN");
    expect((await muster.outcome).code).toBe(0);
  },
);
