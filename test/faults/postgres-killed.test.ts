import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../src/db/embedded-postgres.ts";
import { connectionOptions, type Database, openDatabase } from "../../src/db/orm.ts";
import { readPostmaster } from "../../src/db/postgres-runtime.ts";
import { ENTITIES } from "../../src/entities.ts";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { createLogger } from "../../src/logger.ts";
import { makeUsers } from "../presence/presence-fixture.ts";
import { LightWatch, openAll } from "../support/light-watch.ts";
import { temporaryFolder } from "../support/muster-process.ts";
import { startPostgresProxy } from "../support/postgres-proxy.ts";
import { startTestServer, type TestServer } from "../support/start-test-server.ts";

const PATIENCE = { timeout: 50_000, interval: 100 };
/** Users that are set until the first failure, and such that are set throughout. */
const COUNTS = { untilFailure: 40, throughout: 40 };

async function startPostgres(folder: string): Promise<EmbeddedPostgres> {
  // As in production: a commit is written before it is answered.
  const postgres = await startEmbeddedPostgres({ folder });
  onTestFinished(() => postgres[Symbol.asyncDispose]());
  // What a process has written outlives it by itself. The disk is waited for against the end of the machine, and makes tests slow.
  const client = new pg.Client(connectionOptions(postgres.address));
  await client.connect();
  await client.query("alter system set fsync = off");
  await client.query("select pg_reload_conf()");
  await client.end();
  return postgres;
}

/** Ends every process of a Postgres at once, so that none has time to write anything. */
async function killPostgres(folder: string): Promise<void> {
  const postmaster = await readPostmaster(join(folder, "data"));
  if (!postmaster) throw new Error("there is no Postgres");
  const { pid } = postmaster;
  process.kill(pid, "SIGSTOP");
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).trim().split(" ").filter(Boolean);
  for (const victim of [pid, ...children.map(Number)]) process.kill(victim, "SIGKILL");
}

/** What was answered of each user: the revision; and all statuses whose set was begun. */
class Setting {
  readonly answered = new Map<string, bigint>();
  readonly begun = new Map<string, string[]>();
  failures = 0;
  #isOver = false;
  readonly #work: Promise<void>[];

  constructor(server: TestServer, accessKey: string, users: readonly string[], untilFailure: boolean) {
    const client = server.client(PresenceService, accessKey);
    this.#work = users.map(async (value) => {
      for (let n = 0; !this.#isOver; n++) {
        const status = `n${n}`;
        this.begun.set(value, [...(this.begun.get(value) ?? []), status]);
        try {
          const { presence } = await client.setPresence({ ref: { ref: { case: "id", value } }, presence: { status } });
          this.answered.set(value, presence?.revision ?? 0n);
        } catch {
          this.failures++;
          if (untilFailure) return;
          await sleep(50);
        }
      }
    });
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.settled();
  }

  async settled(): Promise<void> {
    await Promise.all(this.#work);
  }
}

interface Stored {
  readonly id: string;
  readonly revision: bigint;
  readonly status: string;
}

async function readStored(db: Pick<Database, "pool">, users: readonly string[]): Promise<Stored[]> {
  const { rows } = await db.pool.query<{ user_id: string; rev: string; chain: string }>(
    "select user_id, rev::text, chain from presences where user_id = any($1)",
    [users],
  );
  return rows.map((row) => ({ id: row.user_id, revision: BigInt(row.rev), status: JSON.parse(row.chain)[0].status }));
}

test("a Postgres that is killed under load and comes back has lost nothing that was answered, and the watchers see what it has", async () => {
  const folder = await temporaryFolder();
  await using proxy = await startPostgresProxy((await startPostgres(folder)).address);
  const server = await startTestServer({ address: proxy.address });
  const project = await server.project();
  const options = { poolSize: 2, statementTimeoutMs: 30_000 };
  await using db = await openDatabase(proxy.address, ENTITIES, options, createLogger("silent"));
  const users = await makeUsers(db, project.id, COUNTS.untilFailure + COUNTS.throughout);
  const watches = Array.from({ length: 20 }, () => new LightWatch(users));
  const sessions = await openAll(server.url, project.accessKey, watches);
  onTestFinished(() => sessions.forEach((session) => session.destroy()));
  await expect.poll(() => watches.every(({ isLive }) => isLive), PATIENCE).toBe(true);
  const until = new Setting(server, project.accessKey, users.slice(0, COUNTS.untilFailure), true);
  const throughout = new Setting(server, project.accessKey, users.slice(COUNTS.untilFailure), false);
  await expect.poll(() => until.answered.size + throughout.answered.size, PATIENCE).toBe(users.length);
  await sleep(500);

  await killPostgres(folder);
  await until.settled();
  proxy.target = (await startPostgres(folder)).address;
  const stored = await readStored(db, [...until.answered.keys()]);
  expect(stored).toHaveLength(COUNTS.untilFailure);
  for (const { id, revision, status } of stored) {
    expect(revision).toBeGreaterThanOrEqual(until.answered.get(id) ?? 0n);
    // The last set or, if its answer was lost, the one before.
    expect(until.begun.get(id)?.slice(-2)).toContain(status);
  }

  const failed = throughout.failures;
  expect(failed).toBeGreaterThan(0);
  const before = new Map(throughout.answered);
  await expect.poll(() => [...before].filter(([id, at]) => throughout.answered.get(id) === at), PATIENCE).toEqual([]);
  await throughout.stop();
  const truth = await readStored(db, users);
  const unlike = () =>
    watches.flatMap((watch) => truth.filter(({ id, revision }) => watch.seen.get(id)?.revision !== revision));
  await expect.poll(() => unlike().length, PATIENCE).toBe(0);
  expect(watches.filter(({ isOpen, stepsBack }) => !isOpen || stepsBack > 0)).toEqual([]);
}, 120_000);
