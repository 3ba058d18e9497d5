import cluster from "node:cluster";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { availableParallelism } from "node:os";
import { Command } from "commander";
import { type Clock, systemClock } from "../clock.ts";
import { type Config, type EnvironmentConfig, readConfig } from "../config.ts";
import { createLogger } from "../logger.ts";
import { completeConfig } from "./complete-config.ts";
import { provideDevelopmentProject } from "./development-project.ts";
import type { Host } from "./host.ts";
import { serveAsWorker } from "./serve-as-worker.ts";
import { startWorkers } from "./start-workers.ts";

/** Whoever waits for the end does not wait longer than this, whatever hangs. */
const LONGEST_STOP_MS = 25_000;
/** A terminal and the npm between it and this process both pass on one Ctrl-C. */
const SAME_SIGNAL_MS = 500;

/** `muster serve`: runs until SIGTERM or SIGINT and then drains, for at most 25 seconds. */
export function serveCommand(host: Host): Command {
  return new Command("serve")
    .description("Run the server until SIGTERM or SIGINT; settings come from the environment")
    .option("--json", "print the line that says where it listens as JSON")
    .action((options: { json?: true }) =>
      cluster.worker ? serveAsWorker(host, cluster.worker, systemClock) : serve(host, options.json ?? false),
    );
}

/** A server in this process, or several in others. */
interface Serving {
  readonly url: string;
  drain(): Promise<void>;
}

async function serve(host: Host, json: boolean): Promise<void> {
  const environment = readConfig(host.env);
  const end = { now: (code: number): never => host.exit(code) };
  const stop = stopSignal(host, systemClock, end);
  await using resources = new AsyncDisposableStack();
  const count = environment.workers === "auto" ? availableParallelism() : environment.workers;
  const serving = await (count > 1
    ? serveByWorkers(host, environment, count, resources, end)
    : serveHere(host, environment, resources, stop));
  if (!serving) return;
  if (!environment.database)
    await provideDevelopmentProject(serving.config.dataDir, serving.url, serving.config.operatorKey);
  host.stdout.write(json ? `${JSON.stringify({ listening: serving.url })}\n` : `muster listening on ${serving.url}\n`);
  await aborted(stop);
  await serving.drain();
}

/** Undefined where it is to stop before it serves. */
async function serveHere(
  host: Host,
  environment: EnvironmentConfig,
  resources: AsyncDisposableStack,
  stop: AbortSignal,
): Promise<(Serving & { config: Config }) | undefined> {
  // The database starts while the server's code is read, which no other command needs.
  const [config, { startServer }] = await Promise.all([completeConfig(environment, resources), import("../server.ts")]);
  if (stop.aborted) return undefined;
  const server = resources.use(await startServer(config, { logger: createLogger(config.logLevel, host.stderr) }));
  return { config, url: server.url, drain: () => server.drain() };
}

async function serveByWorkers(
  host: Host,
  environment: EnvironmentConfig,
  count: number,
  resources: AsyncDisposableStack,
  end: { now(code: number): never },
): Promise<Serving & { config: Config }> {
  const config = await completeConfig(environment, resources);
  const { database, operatorKey, encryptionKeys } = config;
  const port = await freePort(config);
  const maxConnections = Math.ceil(config.maxConnections / count);
  const order = { port, database, operatorKey, encryptionKeys, maxConnections };
  const logger = createLogger(config.logLevel, host.stderr);
  const workers = await startWorkers({ count, order, clock: systemClock, logger });
  resources.defer(() => workers.kill());
  end.now = (code) => {
    workers.kill();
    return host.exit(code);
  };
  return { config, url: workers.url, drain: () => workers.drain() };
}

/** The port, once nobody else has it: the workers, who share it, would share it with another server of this user as well. */
async function freePort({ port, host }: Config): Promise<number> {
  const server = createServer().listen(port, host);
  await once(server, "listening");
  const taken = (server.address() as AddressInfo).port;
  server.close();
  await once(server, "close");
  return taken;
}

/** Aborts at the first signal; the second one ends the process at once, as does a stop that takes too long. */
function stopSignal(host: Host, clock: Clock, end: { now(code: number): never }): AbortSignal {
  const controller = new AbortController();
  let firstAt: number | undefined;
  host.onSignal(() => {
    if (firstAt === undefined) {
      firstAt = clock.monotonic();
      clock.schedule(LONGEST_STOP_MS, () => end.now(1));
      controller.abort();
    } else if (clock.monotonic() - firstAt > SAME_SIGNAL_MS) end.now(1);
  });
  return controller.signal;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
