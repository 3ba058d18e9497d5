import { Command } from "commander";
import { type Clock, systemClock } from "../clock.ts";
import { readConfig } from "../config.ts";
import { createLogger } from "../logger.ts";
import { completeConfig } from "./complete-config.ts";
import { provideDevelopmentProject } from "./development-project.ts";
import type { Host } from "./host.ts";

/** Whoever waits for the end does not wait longer than this, whatever hangs. */
const LONGEST_STOP_MS = 25_000;
/** A terminal and the npm between it and this process both pass on one Ctrl-C. */
const SAME_SIGNAL_MS = 500;

/** `muster serve`: runs until SIGTERM or SIGINT and then drains, for at most 25 seconds. */
export function serveCommand(host: Host): Command {
  return new Command("serve")
    .description("Run the server until SIGTERM or SIGINT; settings come from the environment")
    .option("--json", "print the line that says where it listens as JSON")
    .action((options: { json?: true }) => serve(host, options.json ?? false));
}

async function serve(host: Host, json: boolean): Promise<void> {
  const environment = readConfig(host.env);
  const stop = stopSignal(host, systemClock);
  await using resources = new AsyncDisposableStack();
  // The database starts while the server's code is read, which no other command needs.
  const [config, { startServer }] = await Promise.all([completeConfig(environment, resources), import("../server.ts")]);
  if (stop.aborted) return;
  const logger = createLogger(config.logLevel, host.stderr);
  const server = resources.use(await startServer(config, { logger }));
  if (!environment.database) await provideDevelopmentProject(config.dataDir, server.url, config.operatorKey);
  host.stdout.write(json ? `${JSON.stringify({ listening: server.url })}\n` : `muster listening on ${server.url}\n`);
  await aborted(stop);
  await server.drain();
}

/** Aborts at the first signal; the second one ends the process at once, as does a stop that takes too long. */
function stopSignal(host: Host, clock: Clock): AbortSignal {
  const controller = new AbortController();
  let firstAt: number | undefined;
  host.onSignal(() => {
    if (firstAt === undefined) {
      firstAt = clock.monotonic();
      clock.schedule(LONGEST_STOP_MS, () => host.exit(1));
      controller.abort();
    } else if (clock.monotonic() - firstAt > SAME_SIGNAL_MS) host.exit(1);
  });
  return controller.signal;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
