import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import type { DatabaseAddress } from "../../src/db/orm.ts";

/** What a finished command left behind. */
export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running `muster serve`. */
export interface MusterProcess {
  readonly url: string;
  readonly process: ChildProcess;
  /** Resolves when the process has ended. */
  readonly outcome: Promise<Outcome>;
}

export const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** The settings of a server on a database that is there, and of a command line that talks to it. */
export function settingsFor({ host, port, user, password = "", database }: DatabaseAddress): Record<string, string> {
  const login = `${user}:${encodeURIComponent(password)}`;
  return {
    DATABASE_URL: `postgres://${login}@/${database}?host=${encodeURIComponent(host)}&port=${port}`,
    MUSTER_OPERATOR_KEY: "mop_q3Zt7Lw0bX9dVn2KcR5sYh8JmUe4Ga1P",
    MUSTER_ENCRYPTION_KEY: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    MUSTER_LOG_LEVEL: "silent",
  };
}

/** A folder of this test's own; deleted after it. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "muster-cli-"));
  // A database whose server was killed a moment ago still writes its last pages there.
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
  return folder;
}

function spawnNode(args: readonly string[], env: Record<string, string>, input?: string | Buffer): ChildProcess {
  // The test's own environment may name settings.
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env["PATH"], ...env },
    stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  });
  // A command that ends before it has read everything is judged by its outcome.
  child.stdin?.on("error", () => {}).end(input);
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  });
  return child;
}

async function outcomeOf(child: ChildProcess): Promise<Outcome> {
  if (!child.stdout || !child.stderr) throw new Error("the process was started without pipes");
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { code: child.exitCode, stdout, stderr };
}

/** Runs Node with these words to its end. */
export function runNode(args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  return outcomeOf(spawnNode(args, env));
}

/** Runs a `muster` command to its end, with `input` on its standard input. */
export function runMuster(
  args: readonly string[],
  env: Record<string, string> = {},
  input?: string | Buffer,
): Promise<Outcome> {
  return outcomeOf(spawnNode([MAIN, ...args], env, input));
}

/** Starts a `muster` command; the test may end it before it ends by itself. */
export function spawnMuster(args: readonly string[], env: Record<string, string>) {
  const child = spawnNode([MAIN, ...args], env);
  return { process: child, outcome: outcomeOf(child) };
}

/** Starts `muster serve` on a free port and waits for the line that says where it listens. */
export async function startMuster(env: Record<string, string>): Promise<MusterProcess> {
  const child = spawnNode([MAIN, "serve"], { MUSTER_PORT: "0", ...env });
  const outcome = outcomeOf(child);
  const listening = new Promise<string>((resolve) => {
    let seen = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      seen += chunk.toString();
      const url = /^muster listening on (\S+)\n/m.exec(seen)?.[1];
      if (url) resolve(url);
    });
  });
  const ended = outcome.then(({ code, stderr }): never => {
    throw new Error(`muster serve ended with ${code}: ${stderr}`);
  });
  return { url: await Promise.race([listening, ended]), process: child, outcome };
}
