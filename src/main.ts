import { constants, enableCompileCache } from "node:module";
import { join } from "node:path";

// Compiled code is kept, for the next start to be quicker, where no other user can plant it: beside the dependencies, or with the server's
// data where those may not be written, as in a container.
const { status } = enableCompileCache(new URL("../node_modules/.cache/compile", import.meta.url).pathname);
const { MUSTER_DATA_DIR: dataDir } = process.env;
if (status === constants.compileCacheStatus.FAILED && dataDir) enableCompileCache(join(dataDir, "compiled"));

const { runCommandLine } = await import("./cli/run.ts");

process.exitCode = await runCommandLine({
  args: process.argv.slice(2),
  env: process.env,
  // Opened by the command that reads it.
  get stdin() {
    return process.stdin;
  },
  stdout: process.stdout,
  stderr: process.stderr,
  onSignal: (listener) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, listener);
  },
  exit: (code) => process.exit(code),
});
