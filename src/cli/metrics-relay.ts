import type { Worker } from "node:cluster";
import type { Clock } from "../clock.ts";
import type { MetricsSnapshot } from "../server.ts";
import type { FromWorker, ToWorker } from "./worker-messages.ts";

/** Passes the metrics of all workers to the one that was asked for them. */
export interface MetricsRelay {
  take(from: Worker, message: FromWorker): void;
}

/** How long a worker that is busy is waited for; its metrics are left out then. */
const PATIENCE_MS = 1_000;

/** `workers` are those that run now. */
export function createMetricsRelay(workers: ReadonlySet<Worker>, clock: Clock): MetricsRelay {
  const asked = new Map<number, (snapshot: MetricsSnapshot | undefined) => void>();
  let lastId = 0;

  const ask = (worker: Worker): Promise<MetricsSnapshot | undefined> => {
    const { promise, resolve } = Promise.withResolvers<MetricsSnapshot | undefined>();
    const id = ++lastId;
    const late = clock.schedule(PATIENCE_MS, () => resolve(undefined));
    asked.set(id, resolve);
    tell(worker, { type: "measure", id });
    return promise.finally(() => {
      late[Symbol.dispose]();
      asked.delete(id);
    });
  };

  return {
    take(from, message) {
      if (message.type === "metrics") asked.get(message.id)?.(message.snapshot);
      if (message.type !== "gather") return;
      const others = [...workers].filter((worker) => worker !== from).map(ask);
      void Promise.all(others).then((answers) => {
        const snapshots = answers.filter((snapshot) => snapshot !== undefined);
        tell(from, { type: "measured", id: message.id, snapshots });
      });
    },
  };
}

/** To one that has just gone, nothing. */
export function tell(worker: Worker, message: ToWorker): void {
  if (worker.isConnected()) worker.send(message, () => {});
}
