import type { Socket } from "node:net";
import type { Pool, PoolClient } from "pg";

/** When the kernel begins to ask whether a connection that nobody uses is still there. */
const KEEP_ALIVE_MS = 10_000;

/**
 * Ends a connection on which nothing comes for `silenceMs` while somebody uses it: it may be dead without a word. With it end those that
 * nobody uses: they most likely lead to the same place. What was asked fails with STORAGE_UNAVAILABLE, and what comes next gets a new connection.
 *
 * A connection that is lost while it is used is given back at once: the query builder never does that where BEGIN, COMMIT or ROLLBACK fails.
 */
export function guardAgainstLoss(pool: Pool, silenceMs: number): void {
  const idle = new Set<Socket>();
  const used = new Set<PoolClient>();
  pool.on("connect", (client) => {
    const socket = socketOf(client);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.on("timeout", () => {
      for (const silent of [socket, ...idle]) silent.destroy(new Error("connection terminated: no answer"));
    });
    socket.once("close", () => {
      idle.delete(socket);
      if (used.has(client)) giveBack(client);
    });
  });
  pool.on("acquire", (client) => {
    used.add(client);
    idle.delete(socketOf(client));
    socketOf(client).setTimeout(silenceMs);
  });
  pool.on("release", (error, client) => {
    used.delete(client);
    if (!error) idle.add(socketOf(client));
    socketOf(client).setTimeout(0);
  });
}

/** Gives a connection of a guarded pool less time, until it is released. */
export function expectWithin(client: PoolClient, ms: number): void {
  socketOf(client).setTimeout(ms);
}

/** Whoever holds it may give it back as well, to no effect. */
function giveBack(client: PoolClient): void {
  const release = client.release;
  client.release = () => {};
  release(true);
}

/** What the driver's types leave out. */
const socketOf = (client: PoolClient): Socket =>
  (client as unknown as { readonly connection: { readonly stream: Socket } }).connection.stream;
