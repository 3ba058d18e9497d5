import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { answerParent } from "./answer-parent.ts";
import { familyCpu } from "./family-cpu.ts";
import type { SubjectOptions } from "./subject-process.ts";

const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** What is started, for as long as this process lives. */
const started: ChildProcess[] = [];

export interface WorkersOptions {
  readonly subject: SubjectOptions;
  readonly count: number;
}

/** Several processes on one port, as the command line starts them; gives their URL. */
async function start({ subject, count }: WorkersOptions): Promise<string> {
  const { database, operatorKey, encryptionKey } = subject;
  const { host, port, user, password = "", database: name } = database;
  const login = `${user}:${encodeURIComponent(password)}`;
  const child = spawn(process.execPath, [MAIN, "serve"], {
    env: {
      PATH: process.env["PATH"],
      MUSTER_PORT: "0",
      MUSTER_RATE_LIMITS: "off",
      MUSTER_WORKERS: String(count),
      DATABASE_URL: `postgres://${login}@/${name}?host=${encodeURIComponent(host)}&port=${port}`,
      MUSTER_OPERATOR_KEY: operatorKey,
      MUSTER_ENCRYPTION_KEY: Buffer.from(encryptionKey).toString("base64"),
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  started.push(child);
  let said = "";
  return new Promise((resolve, reject) => {
    child.stdout.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      const url = /^muster listening on (\S+)\n/m.exec(said)?.[1];
      if (url) resolve(url);
    });
    child.once("exit", (code) => reject(new Error(`muster serve ended with ${code}`)));
  });
}

async function stop(): Promise<void> {
  for (const child of started) {
    if (child.exitCode !== null) continue;
    const exit = once(child, "exit");
    child.kill("SIGTERM");
    await exit;
  }
}

/** Microseconds of CPU that the processes have used so far, all together. */
const cpu = (): number => started.reduce((sum, { pid = 0 }) => sum + familyCpu(pid), 0);

answerParent({ start, cpu }, stop);
