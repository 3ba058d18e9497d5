import { existsSync, globSync } from "node:fs";
import { checkFiles } from "./house/check-files.ts";

const FOLDERS = ["src", "test", "scripts", "bench"];

const paths = FOLDERS.filter((folder) => existsSync(folder))
  .flatMap((folder) => globSync(`${folder}/**/*.ts`))
  .filter((path) => !path.startsWith("src/gen/"))
  .sort();
const problems = checkFiles(".", paths);
for (const { path, line, rule, advice } of problems) console.error(`${path}:${line}: ${rule}: ${advice}`);
console.log(`${paths.length} files held against the rules of the house: ${problems.length} problems`);
if (problems.length > 0) process.exitCode = 1;
