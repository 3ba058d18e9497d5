import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@redis/client";
import type { RedisAddress } from "../../../src/setting-values.ts";

/** A `redis-server` process of our own, on loopback. It keeps nothing on disk unless asked to. */
export interface RedisServer extends AsyncDisposable {
  readonly port: number;
  readonly address: RedisAddress;
  readonly url: string;
  /** What the process would be called by signals. */
  readonly process: ChildProcess;
  /** Ends the process at once, without a word to anybody. */
  kill(): Promise<void>;
  /** Starts it again on the same port. */
  start(): Promise<void>;
  /** Sends a command on a connection of its own. */
  send(...args: string[]): Promise<unknown>;
}

const BINARY = "redis-server";

/** A port that nobody listens on, nor on the one that a cluster's server takes beside it. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port < 55_000 ? port : freePort();
}

/** Starts a server with further settings, `--name value` each. Disposing it ends it and removes what it kept. */
export async function startRedis(...settings: string[]): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), "muster-redis-"));
  const port = await freePort();
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", ...settings];
  let child = await run(args, port);
  return {
    port,
    address: { host: "127.0.0.1", port, tls: false, database: 0 },
    url: `redis://127.0.0.1:${port}`,
    get process() {
      return child;
    },
    kill: () => kill(child),
    async start() {
      child = await run(args, port);
    },
    send: (...command) => send(port, command),
    async [Symbol.asyncDispose]() {
      await kill(child);
      await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
}

async function run(args: readonly string[], port: number): Promise<ChildProcess> {
  const child = spawn(BINARY, args, { stdio: "ignore" });
  const { promise: failed, reject } = Promise.withResolvers<never>();
  child.on("error", () =>
    reject(new Error(`${BINARY} cannot be run: install Redis 7 or newer (Debian: redis-server)`)),
  );
  child.on("exit", (code) => reject(new Error(`${BINARY} ended with ${code} before it could be reached`)));
  failed.catch(() => {});
  // A test that is broken off leaves no server behind.
  const end = () => child.kill("SIGKILL");
  process.once("exit", end);
  child.once("exit", () => process.off("exit", end));
  await Promise.race([reached(port), failed]);
  return child;
}

async function reached(port: number): Promise<void> {
  for (;;) {
    try {
      if ((await send(port, ["PING"])) === "PONG") return;
    } catch {
      // Not yet.
    }
    await sleep(20);
  }
}

async function send(port: number, args: string[]): Promise<unknown> {
  const socket = { host: "127.0.0.1", port, reconnectStrategy: false } as const;
  const client = createClient({ socket, disableOfflineQueue: true });
  client.on("error", () => {});
  await client.connect();
  try {
    return await client.sendCommand(args);
  } finally {
    client.destroy();
  }
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}
