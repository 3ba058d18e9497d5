import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Block, firstMissing } from "./blocks.ts";

/** The longest a block may run, the longest Muster may take to listen with all that comes before it, in milliseconds. */
const LONGEST_RUN_MS = 120_000;
const LISTENING = "muster listening on";

/** Runs the blocks of a page one after the other in a folder, as a reader would who types them into one terminal. */
export interface Session extends AsyncDisposable {
  /** Throws if the block fails, or does not print what it says it prints. */
  perform(block: Block): Promise<void>;
}

/** Opens one. What a block of shell sets is set for all blocks after it. */
export function openSession(folder: string, env: Readonly<Record<string, string>>): Session {
  const running = new Set<ChildProcess>();
  const state = join(folder, ".readme-session");
  const start = (program: string, args: string[]) => {
    // A group of its own, so that what it started ends with it.
    const child = spawn(program, args, { cwd: folder, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    running.add(child);
    return child;
  };
  return {
    async perform(block) {
      if (block.action === "show") return;
      if (block.file !== undefined) return writeFile(join(folder, block.file), block.code);
      const name = `.readme-${block.line}.${block.language}`;
      await writeFile(join(folder, name), block.code);
      const command = `touch ${state}; set -a; . ${state}; ${commandFor(block.language, name)}; export -p > ${state}`;
      const child = start("bash", ["-euo", "pipefail", "-c", command]);
      const output = await (block.action === "start" ? outputUntilListening(child) : outputToEnd(child));
      const missing = firstMissing(block.expected, output);
      if (missing !== undefined) throw new Error(`it does not print "${missing}" but:\n${output}`);
    },
    async [Symbol.asyncDispose]() {
      for (const child of running) await endGroup(child);
    },
  };
}

function commandFor(language: string, file: string): string {
  if (language === "ts" || language === "js") return `node_modules/.bin/node ${file}`;
  if (language === "py" || language === "python") return `python3 ${file}`;
  return `. ./${file}`;
}

async function outputToEnd(child: ChildProcess): Promise<string> {
  const output = collect(child);
  const [code] = (await once(child, "close", { signal: AbortSignal.timeout(LONGEST_RUN_MS) })) as [number | null];
  if (code !== 0) throw new Error(`it ends with ${code}:\n${output()}`);
  return output();
}

async function outputUntilListening(child: ChildProcess): Promise<string> {
  const output = collect(child);
  const signal = AbortSignal.timeout(LONGEST_RUN_MS);
  while (!output().includes(LISTENING)) {
    if (child.exitCode !== null) throw new Error(`it ends before it listens:\n${output()}`);
    await Promise.race([once(child, "exit", { signal }), once(child.stdout ?? child, "data", { signal })]);
  }
  return output();
}

function collect(child: ChildProcess): () => string {
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk: Buffer) => (text += chunk.toString()));
  return () => text;
}

/** Ends a process and what it started; what does not end by itself is killed. */
async function endGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "close");
  process.kill(-child.pid, "SIGTERM");
  await Promise.race([ended, once(child, "exit", { signal: AbortSignal.timeout(30_000) })]);
}
