import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Config } from "../../src/config.ts";

/** A `redis-server` of the bench's own, which appends each change to its file and flushes that every second. */
export interface Redis extends AsyncDisposable {
  readonly target: NonNullable<Config["redis"]>;
}

export async function startRedis(folder: string): Promise<Redis> {
  const port = await freePort();
  const settings = [
    "--port",
    String(port),
    "--bind",
    "127.0.0.1",
    "--dir",
    folder,
    "--save",
    "",
    "--appendonly",
    "yes",
  ];
  const server = spawn("redis-server", settings, { stdio: "ignore" });
  const { promise: failed, reject } = Promise.withResolvers<never>();
  server.once("error", () => reject(new Error("there is no redis-server")));
  server.once("exit", () => reject(new Error("redis-server ended")));
  failed.catch(() => {});
  await Promise.race([listens(port), failed]);
  return {
    target: { kind: "standalone", address: { host: "127.0.0.1", port, tls: false, database: 0 } },
    async [Symbol.asyncDispose]() {
      server.kill("SIGKILL");
      await once(server, "exit");
    },
  };
}

async function listens(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, "127.0.0.1");
    const reached = await once(socket, "connect").then(Boolean, () => false);
    socket.destroy();
    if (reached) return;
    await sleep(20);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
