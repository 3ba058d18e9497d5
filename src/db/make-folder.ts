import { access, constants, mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { StartError } from "../start-error.ts";

/** Sees to it that a folder is there and can be written to, and those above it too. Throws StartError where that fails. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await makeMissing(folder);
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new StartError(`Cannot write to the data folder ${folder}: ${(error as NodeJS.ErrnoException).code}`);
  }
}

/** Not `mkdir` with `recursive`, which never ends where the system lets no folder be made, as under /proc. */
async function makeMissing(folder: string): Promise<void> {
  if (await stat(folder).catch(() => undefined)) return;
  const parent = dirname(folder);
  if (parent !== folder) await makeMissing(parent);
  await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
    // Another process was quicker.
    if (error.code !== "EEXIST") throw error;
  });
}
