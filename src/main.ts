import { enableCompileCache } from "node:module";

// Compiled code is kept beside the dependencies, where no other user can plant it: the next start is quicker.
enableCompileCache(new URL("../node_modules/.cache/compile", import.meta.url).pathname);

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
