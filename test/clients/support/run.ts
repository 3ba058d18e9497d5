import { spawn } from "node:child_process";

/** What a program came to. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, or for `timeoutMs`, and gives what it said whatever its exit code. */
export function run(program: string, args: readonly string[], timeoutMs = 30_000): Promise<Ran> {
  return new Promise((settle, fail) => {
    const child = spawn(program, [...args], { stdio: ["ignore", "pipe", "pipe"], timeout: timeoutMs });
    const said = { stdout: "", stderr: "" };
    child.stdout.on("data", (chunk: Buffer) => (said.stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (said.stderr += chunk.toString()));
    child.on("error", fail);
    child.on("close", (code) => settle({ code: code ?? -1, ...said }));
  });
}
