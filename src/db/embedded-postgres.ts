import { execFile } from "node:child_process";
import { chown, mkdir, readFile, rename, rm, stat } from "node:fs/promises";
import { userInfo } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { StartError } from "../start-error.ts";
import { makeFolder } from "./make-folder.ts";
import type { DatabaseAddress } from "./orm.ts";
import { type Account, locateBinaries, type PostgresBinaries, runnableBinaries } from "./postgres-binaries.ts";
import { makeRuntimeFolder, readPostmaster, servesData, sweepRuntimeFolders } from "./postgres-runtime.ts";
import { ENVIRONMENT, PORT, type ServerPlace, spawnServer, stopServer, WORKING_FOLDER } from "./postgres-server.ts";

export interface EmbeddedPostgresOptions {
  /** Holds the data and the server's log. Made if missing; no other process may use it at the same time. */
  readonly folder: string;
  /** For tests: does without care for crashes, and deletes its data at the end. */
  readonly throwaway?: boolean;
}

/** A Postgres of our own. Disposing it shuts it down. */
export interface EmbeddedPostgres extends AsyncDisposable {
  readonly address: DatabaseAddress;
  /** Whether its data was made by this start. */
  readonly fresh: boolean;
}

const POLL_MS = 10;
/** How long a server that is there already may take to go. One whose owner died is stopping; one that stays ready has an owner. */
const STOPPING_MS = 15_000;
const OWNED_MS = 5_000;
/** Backends outlive a killed server by a moment, and hold its memory. */
const ATTEMPTS = 4;

const run = promisify(execFile);

/**
 * Runs the Postgres that npm installed, on a unix socket that only its own user may open. It ends with this process, however
 * that ends. As root it runs as the owner of its data, at first `postgres` or `nobody`. Throws StartError where it cannot run.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const folder = resolve(options.folder);
  await makeFolder(folder);
  const data = join(folder, "data");
  await waitForPreviousOwner(data);
  const installed = await locateBinaries();
  const account = await findAccount(data);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const runtime = await makeRuntimeFolder(account);
    const place = { folder, data, runtime, throwaway: options.throwaway ?? false };
    const started = await startIn(place, installed, account).catch(async (error: unknown) => {
      await rm(runtime, { recursive: true, force: true });
      throw error;
    });
    if (started) return started;
    await rm(runtime, { recursive: true, force: true });
    await sleep(attempt * 200);
  }
  throw new StartError(`The embedded Postgres does not start: see ${join(folder, "postgres.log")}`);
}

async function startIn(
  place: ServerPlace,
  installed: PostgresBinaries,
  account: Account | undefined,
): Promise<EmbeddedPostgres | undefined> {
  await sweepRuntimeFolders(place.runtime);
  const binaries = await runnableBinaries(installed, account, place.runtime);
  const fresh = !(await stat(join(place.data, "PG_VERSION")).catch(() => undefined));
  if (fresh) await initialise(binaries, account, place);
  const server = await spawnServer(binaries, account, place);
  return (
    server && {
      address: { host: place.runtime, port: PORT, user: "postgres", database: "postgres" },
      fresh,
      async [Symbol.asyncDispose]() {
        await stopServer(server);
        await rm(place.runtime, { recursive: true, force: true });
        if (place.throwaway) await rm(place.data, { recursive: true, force: true });
      },
    }
  );
}

/** Waits while a server whose owner died shuts down. Throws StartError if another process keeps one running on `data`. */
async function waitForPreviousOwner(data: string): Promise<void> {
  for (let waited = 0; ; waited += POLL_MS) {
    const postmaster = await readPostmaster(data);
    if (!postmaster || !(await servesData(postmaster.pid, data))) return;
    if (waited >= (postmaster.status === "stopping" ? STOPPING_MS : OWNED_MS))
      throw new StartError(`Another process uses the data folder ${data} (its Postgres is process ${postmaster.pid})`);
    await sleep(POLL_MS);
  }
}

/** Postgres refuses to run as root: it then runs as the owner of the data, or as an account that machines have for such uses. */
async function findAccount(data: string): Promise<Account | undefined> {
  const owner = await stat(data).catch(() => undefined);
  const uid = userId();
  if (uid !== 0) {
    if (owner && owner.uid !== uid) throw new StartError(`The data folder ${data} belongs to another user`);
    return undefined;
  }
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  const accounts = (await readFile("/etc/passwd", "utf8")).split("\n").map((line) => line.split(":"));
  for (const name of ["postgres", "nobody"]) {
    const found = accounts.find((fields) => fields[0] === name);
    if (found) return { uid: Number(found[2]), gid: Number(found[3]) };
  }
  throw new StartError("Postgres does not run as root, and there is no user postgres or nobody: set DATABASE_URL");
}

function userId(): number {
  try {
    return userInfo().uid;
  } catch {
    throw new StartError("This user has no entry in /etc/passwd, which Postgres needs: add one, or set DATABASE_URL");
  }
}

/** Makes the data aside and moves it into place, so that what is found there is always whole. */
async function initialise(
  { initdb }: PostgresBinaries,
  account: Account | undefined,
  { folder, data, throwaway }: ServerPlace,
): Promise<void> {
  const making = `${data}.new`;
  await rm(making, { recursive: true, force: true });
  await mkdir(making, { mode: 0o700 });
  if (account) await chown(making, account.uid, account.gid);
  const locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8"];
  const args = ["-D", WORKING_FOLDER, "-U", "postgres", "-A", "trust", "-E", "UTF8", ...locale, "--no-instructions"];
  if (throwaway) args.push("--no-sync");
  try {
    await run(initdb, args, { ...account, cwd: making, env: ENVIRONMENT });
  } catch (error) {
    throw new StartError(
      `Cannot make a database in ${folder}: ${(error as { stderr?: string }).stderr?.trim() || error}`,
    );
  }
  await rename(making, data);
}
