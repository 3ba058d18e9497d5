import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

/** A process of the bench, asked over IPC. Disposing it ends it. */
export interface Child extends AsyncDisposable {
  readonly pid: number;
  ask<Answer>(command: string, argument?: unknown): Promise<Answer>;
}

interface Reply {
  readonly id: number;
  readonly answer?: unknown;
  readonly error?: string;
}

/** How much of what a process logged is kept for the report of its end. */
const LOG_CHARACTERS = 4_000;

/** Starts one of the scripts of this folder, by the name of its file. */
export function spawnChild(script: string): Child {
  const child = fork(new URL(script, import.meta.url), {
    serialization: "advanced",
    execArgv: ["--expose-gc"],
    stdio: ["ignore", "inherit", "pipe", "ipc"],
  });
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-LOG_CHARACTERS);
  });
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let asked = 0;
  child.on("message", ({ id, answer, error }: Reply) => {
    const caller = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) caller?.resolve(answer);
    else caller?.reject(new Error(error));
  });
  child.on("exit", (code, signal) => {
    for (const caller of waiting.values()) caller.reject(new Error(`${script} ended (${signal ?? code}): ${said}`));
  });
  return {
    pid: child.pid ?? 0,
    ask<Answer>(command: string, argument?: unknown) {
      const caller = Promise.withResolvers<unknown>();
      waiting.set(++asked, caller);
      child.send({ id: asked, command, argument }, (error) => error && caller.reject(error));
      return caller.promise as Promise<Answer>;
    },
    [Symbol.asyncDispose]: () => end(child),
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
  child.disconnect();
  await exit;
  clearTimeout(timer);
}
