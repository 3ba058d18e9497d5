import { chmod, chown, mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Account, canReach } from "./postgres-binaries.ts";

/** What a running server writes down about itself. */
export interface Postmaster {
  readonly pid: number;
  /** The folder of its socket. */
  readonly runtime: string;
  /** `starting`, `ready`, `stopping`. */
  readonly status: string;
}

const PREFIX = "muster-postgres-";
/** A unix socket's path is at most 107 bytes; its name and the random part of its folder's take 40. */
const LONGEST_TEMPORARY_FOLDER = 60;
/** A folder younger than this may be of a server that is only just starting. */
const STARTING_MS = 30_000;

/** The server of a data folder, if its file says there is one. */
export async function readPostmaster(data: string): Promise<Postmaster | undefined> {
  const lines = await linesOf(join(data, "postmaster.pid"));
  return lines && { pid: Number(lines[0]), runtime: lines[4] ?? "", status: lines[7]?.trim() ?? "" };
}

/** Whether this process id is a Postgres: ids are used again, soonest of all in containers. */
async function isPostgres(pid: number): Promise<boolean> {
  return (await linesOf(`/proc/${pid}/comm`))?.[0] === "postgres";
}

/** Whether process `pid` is the Postgres of `data`. Where the system hides what it works on, any Postgres is taken for it. */
export async function servesData(pid: number, data: string): Promise<boolean> {
  if (!(await isPostgres(pid))) return false;
  const [working, own] = await Promise.all([stat(`/proc/${pid}/cwd`).catch(() => undefined), stat(data)]);
  return !working || (working.ino === own.ino && working.dev === own.dev);
}

/** A folder for the socket, in the system's temporary folder because a socket's path must be short. Only `account` may enter. */
export async function makeRuntimeFolder(account: Account | undefined): Promise<string> {
  const folder = await mkdtemp(join(await temporaryFolder(account), PREFIX));
  await chmod(folder, 0o700);
  if (account) await chown(folder, account.uid, account.gid);
  return folder;
}

async function temporaryFolder(account: Account | undefined): Promise<string> {
  const preferred = tmpdir();
  if (Buffer.byteLength(preferred) > LONGEST_TEMPORARY_FOLDER) return "/tmp";
  return !account || (await canReach(join(preferred, PREFIX), account)) ? preferred : "/tmp";
}

/** Removes what servers left beside `runtime` that had no time to clean up. Those that run, and other users', stay. */
export async function sweepRuntimeFolders(runtime: string): Promise<void> {
  const parent = dirname(runtime);
  const { mtimeMs: now } = await stat(runtime);
  for (const name of await readdir(parent).catch(() => [])) {
    const folder = join(parent, name);
    if (!name.startsWith(PREFIX) || folder === runtime) continue;
    const found = await stat(folder).catch(() => undefined);
    if (!found || now - found.mtimeMs < STARTING_MS) continue;
    const lock = (await readdir(folder).catch(() => [])).find((file) => file.endsWith(".lock"));
    const pid = lock && Number((await linesOf(join(folder, lock)))?.[0]);
    if (pid && (await isPostgres(pid))) continue;
    await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}

const linesOf = (path: string): Promise<string[] | undefined> =>
  readFile(path, "utf8").then(
    (text) => text.split("\n"),
    () => undefined,
  );
