import cluster, { type Worker } from "node:cluster";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import { CommandEnd } from "./command-end.ts";
import { createMetricsRelay, tell } from "./metrics-relay.ts";
import type { FromWorker, WorkerOrder } from "./worker-messages.ts";

export interface WorkersOptions {
  readonly count: number;
  readonly order: WorkerOrder;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Processes that serve one port; one that dies is replaced. */
export interface Workers {
  readonly url: string;
  /** Has them take nothing new, end what they have, and ends them. */
  drain(): Promise<void>;
  /** Ends them at once. */
  kill(): void;
}

/** How long after a death the next one is started. */
const REVIVE_MS = 1_000;

/**
 * Starts the processes and waits until all of them listen. The first one goes ahead: it brings the schema up to date. Fails with CommandEnd where one ends meanwhile; it has said why.
 */
export async function startWorkers({ count, order, clock, logger }: WorkersOptions): Promise<Workers> {
  // Keys and certificates are bytes, which JSON would not carry.
  cluster.setupPrimary({ serialization: "advanced" });
  const running = new Set<Worker>();
  const relay = createMetricsRelay(running, clock);
  const state = { isStopping: false };
  const start = () => startWorker(running, order, (from, message) => relay.take(from, message));
  const keep = (worker: Worker): void => {
    worker.once("exit", (code, signal) => {
      if (state.isStopping) return;
      logger.error({ worker: worker.process.pid, code, signal }, "a worker ended; another one is started");
      void revive();
    });
  };
  const revive = async (): Promise<void> => {
    while (!state.isStopping) {
      await sleep(REVIVE_MS);
      if (state.isStopping) return;
      const started = await start().catch(() => undefined);
      if (started) return keep(started.worker);
    }
  };
  const kill = () => {
    state.isStopping = true;
    for (const worker of running) worker.process.kill("SIGKILL");
  };
  try {
    const first = await start();
    const others = await Promise.all(Array.from({ length: count - 1 }, start));
    for (const { worker } of [first, ...others]) keep(worker);
    return { url: first.url, kill, drain: () => drain(running, state) };
  } catch (error) {
    kill();
    throw error;
  }
}

/** Resolves once it listens. */
async function startWorker(
  running: Set<Worker>,
  order: WorkerOrder,
  take: (from: Worker, message: FromWorker) => void,
): Promise<{ worker: Worker; url: string }> {
  const worker = cluster.fork();
  running.add(worker);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  worker.on("message", (message: FromWorker) => {
    if (message.type === "ready") tell(worker, { type: "serve", order });
    else if (message.type === "listening") resolve(message.url);
    else take(worker, message);
  });
  worker.once("exit", (code: number | null) => {
    running.delete(worker);
    reject(new CommandEnd(code || 1));
  });
  return { worker, url: await promise };
}

async function drain(running: ReadonlySet<Worker>, state: { isStopping: boolean }): Promise<void> {
  state.isStopping = true;
  const ends = [...running].map((worker) => once(worker, "exit"));
  for (const worker of running) tell(worker, { type: "drain" });
  await Promise.all(ends);
}
