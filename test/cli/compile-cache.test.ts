import { cp, mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { MAIN, runNode, temporaryFolder } from "../support/muster-process.ts";

const SRC = join(MAIN, "..");
const DEPENDENCIES = join(SRC, "../node_modules");

/** The program in a folder of its own, beside whose dependencies nothing can be kept. */
async function installed(): Promise<string> {
  const folder = await temporaryFolder();
  await cp(SRC, join(folder, "src"), { recursive: true });
  await cp(join(SRC, "../package.json"), join(folder, "package.json"));
  await mkdir(join(folder, "node_modules"));
  for (const name of await readdir(DEPENDENCIES))
    if (!name.startsWith(".")) await symlink(join(DEPENDENCIES, name), join(folder, "node_modules", name));
  await writeFile(join(folder, "node_modules/.cache"), "");
  return folder;
}

test("compiled code is kept with the data where it cannot be kept beside the dependencies", async () => {
  const folder = await installed();
  const dataDir = join(folder, "data");
  const run = (env: Record<string, string>) => runNode([join(folder, "src/main.ts"), "--help"], env);
  expect(await run({})).toMatchObject({ code: 0, stderr: "" });
  expect(await readdir(folder)).not.toContain("data");
  expect(await run({ MUSTER_DATA_DIR: dataDir })).toMatchObject({ code: 0, stderr: "" });
  const [compiled = ""] = await readdir(join(dataDir, "compiled"));
  expect((await readdir(join(dataDir, "compiled", compiled))).length).toBeGreaterThan(0);
});
