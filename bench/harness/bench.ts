import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEmbeddedPostgres } from "../../src/db/embedded-postgres.ts";
import type { DatabaseAddress } from "../../src/db/orm.ts";
import { type Child, spawnChild } from "./child.ts";
import { newDatabase, newKeys, type Roll } from "./roll.ts";
import type { SubjectOptions } from "./subject-process.ts";
import { makeTenant, type Tenant } from "./tenant.ts";

/** A Muster in a process of its own. */
export interface Muster {
  readonly process: Child;
  readonly url: string;
  readonly port: number;
  readonly options: SubjectOptions;
}

/** What rows measure with. What they start ends with the row. */
export interface Bench extends AsyncDisposable {
  readonly rounds: number;
  /** A folder that is deleted with the run. */
  readonly folder: string;
  /** Starts a Muster on a new database, or beside another one on the same. */
  startMuster(
    beside?: Muster,
    special?: Pick<SubjectOptions, "withoutHashing" | "redis" | "egressAllow">,
  ): Promise<Muster>;
  makeTenant(muster: Muster): Promise<Tenant>;
  start(script: string): Child;
  /** Runs `work`, and writes down where the process spent its time if the run was asked for that. */
  profiled<T>(name: string, process: Child, work: () => Promise<T>): Promise<T>;
}

/** The Postgres of a run, as durable as in production: a commit that need not be flushed would flatter. */
export async function startDatabase(): Promise<AsyncDisposable & { folder: string; address: DatabaseAddress }> {
  const folder = await mkdtemp(join(tmpdir(), "muster-bench-"));
  const postgres = await startEmbeddedPostgres({ folder });
  return {
    folder,
    address: postgres.address,
    async [Symbol.asyncDispose]() {
      await postgres[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export interface BenchOptions {
  readonly rounds: number;
  /** How many users a large roll has. */
  readonly users: number;
  readonly database: { readonly folder: string; readonly address: DatabaseAddress };
  /** What each row starts from; undefined: an empty database. */
  readonly roll?: Roll | undefined;
  /** Takes CPU profiles; undefined: none are taken. */
  readonly profiles: string | undefined;
}

/** The tools of one row. */
export function createBench({ rounds, users, database, roll, profiles }: BenchOptions): Bench {
  const resources = new AsyncDisposableStack();
  const start = (script: string) => resources.use(spawnChild(script));
  return {
    rounds,
    folder: database.folder,
    start,
    async startMuster(beside, special) {
      const process = start("subject-process.ts");
      const options = beside?.options ?? {
        database: await newDatabase(database.address, roll?.template),
        ...(roll?.keys ?? newKeys()),
        ...special,
      };
      const url = await process.ask<string>("start", options);
      return { process, url, port: Number(new URL(url).port), options };
    },
    makeTenant: async ({ url, options }) => resources.use(await makeTenant(url, options, users, roll?.tenant)),
    async profiled(name, process, work) {
      if (!profiles) return work();
      await process.ask("startProfile");
      const result = await work();
      await mkdir(profiles, { recursive: true });
      await writeFile(join(profiles, `${name}.cpuprofile`), await process.ask<string>("stopProfile"));
      return result;
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
