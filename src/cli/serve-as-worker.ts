import type { Worker } from "node:cluster";
import { once } from "node:events";
import type { Clock } from "../clock.ts";
import { readConfig } from "../config.ts";
import { createLogger } from "../logger.ts";
import type { GatherMetrics, MetricsSnapshot, RunningServer } from "../server.ts";
import type { Host } from "./host.ts";
import type { FromWorker, ToWorker, WorkerOrder } from "./worker-messages.ts";

/** What is still under way when the first process has asked for the end is broken off after this long. */
const LONGEST_STOP_MS = 25_000;

/** Serves the port as one of several processes, until the first process says so, or is gone. */
export async function serveAsWorker(host: Host, self: Worker, clock: Clock): Promise<void> {
  // A terminal sends its signals to all processes; the first one says what they mean.
  host.onSignal(() => {});
  const stop = Promise.withResolvers<void>();
  const orders = Promise.withResolvers<WorkerOrder>();
  const metrics = createOwnMetrics(self);
  self.on("message", (message: ToWorker) => {
    if (message.type === "serve") orders.resolve(message.order);
    else if (message.type === "drain") stop.resolve();
    else metrics.take(message);
  });
  self.on("disconnect", () => stop.resolve());
  void stop.promise.then(() => clock.schedule(LONGEST_STOP_MS, () => host.exit(1)));
  try {
    tell(self, { type: "ready" });
    await serveOrder(host, await orders.promise, self, metrics, stop.promise);
  } finally {
    await leave(self);
  }
}

/** The channel to the first process is what keeps this one alive. */
async function leave(self: Worker): Promise<void> {
  if (!self.isConnected()) return;
  const left = once(self, "disconnect");
  self.disconnect();
  await left;
}

async function serveOrder(
  host: Host,
  order: WorkerOrder,
  self: Worker,
  metrics: OwnMetrics,
  stop: Promise<void>,
): Promise<void> {
  const { startServer } = await import("../server.ts");
  const config = { ...readConfig(host.env), ...order };
  const logger = createLogger(config.logLevel, host.stderr);
  const server = await startServer(config, { logger, gatherMetrics: metrics.gather, reusePort: true });
  metrics.of(server);
  tell(self, { type: "listening", url: server.url });
  await stop;
  await server.drain();
}

type OwnMetrics = ReturnType<typeof createOwnMetrics>;

function tell(self: Worker, message: FromWorker): void {
  if (self.isConnected()) self.send(message, () => {});
}

/** Answers for this process's metrics, and asks for those of the others. */
function createOwnMetrics(self: Worker) {
  const asked = new Map<number, (snapshots: readonly MetricsSnapshot[]) => void>();
  let own: Pick<RunningServer, "metrics"> | undefined;
  let lastId = 0;
  const gather: GatherMetrics = async (snapshot) => {
    const { promise, resolve } = Promise.withResolvers<readonly MetricsSnapshot[]>();
    const id = ++lastId;
    asked.set(id, resolve);
    tell(self, { type: "gather", id });
    return [snapshot, ...(await promise)];
  };
  return {
    gather,
    of(server: Pick<RunningServer, "metrics">): void {
      own = server;
    },
    take(message: ToWorker): void {
      if (message.type === "measured") {
        asked.get(message.id)?.(message.snapshots);
        asked.delete(message.id);
      }
      if (message.type === "measure")
        void (own?.metrics() ?? Promise.resolve([])).then((snapshot) =>
          tell(self, { type: "metrics", id: message.id, snapshot }),
        );
    },
  };
}
