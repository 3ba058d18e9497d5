import { execFileSync } from "node:child_process";
import { glob, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { rolldown } from "rolldown";

/** What services and apps import of this package: bundles that need nothing else, since Node strips no types of what is installed. */
const ENTRIES = [
  { name: "client", input: "src/client/session.ts", platform: "neutral" },
  { name: "verifier", input: "src/client/verifier.ts", platform: "node" },
] as const;

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");

await rm(dist, { recursive: true, force: true });
for (const { name, input, platform } of ENTRIES) {
  const bundle = await rolldown({ cwd: root, input, platform, resolve: { mainFields: ["module", "main"] } });
  await bundle.write({ file: join(dist, `${name}.js`), format: "esm", codeSplitting: false });
  await bundle.close();
}

execFileSync(join(root, "node_modules/.bin/tsc"), ["-p", "tsconfig.client.json"], { cwd: root, stdio: "inherit" });
for await (const file of glob(join(dist, "types/**/*.d.ts"))) {
  const declarations = await readFile(file, "utf8");
  await writeFile(file, declarations.replaceAll(/(from "\.{1,2}\/[^"]+)\.ts"/g, '$1.js"'));
}
