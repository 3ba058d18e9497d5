import { staleFiles } from "./house/stale-files.ts";

const stale = staleFiles();
for (const path of stale) console.error(`${path} is not current: run npm run generate`);
console.log(stale.length === 0 ? "Everything generated is current" : `${stale.length} generated files are not current`);
if (stale.length > 0) process.exitCode = 1;
