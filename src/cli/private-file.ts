import { randomBytes } from "node:crypto";
import { link, open, readFile, rename, rm } from "node:fs/promises";
import { StartError } from "../start-error.ts";

/** Reads a JSON file, or gives undefined where there is none. Throws StartError for one that cannot be read. */
export async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new StartError(`Cannot read ${path}: ${(error as NodeJS.ErrnoException).code ?? "it is not JSON"}`);
  }
}

/**
 * Writes a JSON file that only this user may read, whole or not at all. With `keep` one that is there already stays,
 * so that of two processes one decides.
 */
export async function writePrivateJson(path: string, value: unknown, { keep = false } = {}): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString("hex")}`;
  try {
    await using file = await open(temporary, "wx", 0o600);
    await file.writeFile(`${JSON.stringify(value, null, 2)}\n`);
    await file.sync();
    if (!keep) return await rename(temporary, path);
    await link(temporary, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  } catch (error) {
    throw new StartError(`Cannot write ${path}: ${(error as NodeJS.ErrnoException).code}`);
  } finally {
    await rm(temporary, { force: true });
  }
}
