import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { open } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Account, PostgresBinaries } from "./postgres-binaries.ts";
import { readPostmaster } from "./postgres-runtime.ts";

/** Enough to run the server's own tools; nothing of the parent's environment reaches the database. */
export const ENVIRONMENT = { PATH: "/usr/local/bin:/usr/bin:/bin", LC_ALL: "C.UTF-8", TZ: "UTC" };
/** The server reads its data through this and never by path: it has to own the data, not to pass the folders above. */
export const WORKING_FOLDER = "/proc/self/cwd";
export const PORT = 5432;

const POLL_MS = 10;
/** Recovery after a crash replays what was written since the last checkpoint. */
const READY_MS = 60_000;

/**
 * `sh` holds the parent's pipe as file 3. Its end, be it by `stopServer` or by the parent's death, is a fast shutdown.
 * `$1` is the runtime folder, `$2` the data to delete afterwards or nothing; the rest is the server's command line.
 */
const SUPERVISOR = `exec 3<&0; runtime=$1; waste=$2; shift 2
"$@" </dev/null 3<&- & server=$!
(cat <&3 >/dev/null; kill -INT $server 2>/dev/null) & watch=$!
wait $server; status=$?; kill $watch 2>/dev/null; cd /; rm -rf "$runtime" \${waste:+"$waste"} 2>/dev/null; exit $status`;

/** Where a server lives. */
export interface ServerPlace {
  /** Takes the server's log. */
  readonly folder: string;
  readonly data: string;
  /** Takes the socket; deleted when the server ends. */
  readonly runtime: string;
  /** No care for crashes; the data is deleted when the server ends. */
  readonly throwaway: boolean;
}

/** Starts a server and waits until it takes connections. Gives undefined if it ended instead; its log says why. */
export async function spawnServer(
  binaries: PostgresBinaries,
  account: Account | undefined,
  place: ServerPlace,
): Promise<ChildProcess | undefined> {
  const log = await open(join(place.folder, "postgres.log"), "a", 0o600);
  try {
    const supervised = ["-c", SUPERVISOR, "sh", place.runtime, place.throwaway ? place.data : ""];
    // A session of its own: Ctrl-C in the terminal reaches this process alone, which then stops the server last.
    const server = spawn("/bin/sh", [...supervised, binaries.postgres, ...serverOptions(place)], {
      ...account,
      cwd: place.data,
      env: ENVIRONMENT,
      detached: true,
      stdio: ["pipe", log.fd, log.fd],
    });
    return (await becomesReady(server, place)) ? server : undefined;
  } finally {
    await log.close();
  }
}

function serverOptions({ runtime, throwaway }: ServerPlace): string[] {
  const settings: Record<string, string | number> = {
    listen_addresses: "",
    unix_socket_directories: runtime,
    unix_socket_permissions: "0700",
    max_connections: throwaway ? 300 : 100,
    shared_buffers: "64MB",
    ...(throwaway && { fsync: "off", synchronous_commit: "off", full_page_writes: "off" }),
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  return ["-D", WORKING_FOLDER, "-p", String(PORT), ...options];
}

async function becomesReady(server: ChildProcess, { data, runtime }: ServerPlace): Promise<boolean> {
  let ended = false;
  server.once("exit", () => (ended = true));
  server.once("error", () => (ended = true));
  server.stdin?.on("error", () => {});
  for (let waited = 0; waited < READY_MS; waited += POLL_MS) {
    await sleep(POLL_MS);
    if (ended) return false;
    const postmaster = await readPostmaster(data);
    // A server that was killed has left its own file, which says that it is ready.
    if (postmaster?.runtime !== runtime || postmaster.status !== "ready") continue;
    // The server by itself does not keep this process alive.
    server.unref();
    (server.stdin as Socket).unref();
    return true;
  }
  await stopServer(server);
  return false;
}

/** Shuts the server down and waits for its end. */
export async function stopServer(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  server.ref();
  const exit = once(server, "exit");
  server.stdin?.end();
  await exit;
}
