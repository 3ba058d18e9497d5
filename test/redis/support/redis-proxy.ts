import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { RedisAddress } from "../../../src/setting-values.ts";

/** A network between clients and a Redis that misbehaves when told to. */
export interface RedisProxy extends AsyncDisposable {
  readonly address: RedisAddress;
  /** Nothing passes any more, either way, on the connections there are and on new ones, and none of them ends. */
  silent: boolean;
  /** What becomes of a notification, by its bytes: what is given passes, in that order. Undefined: all pass as they come. */
  meddle: ((notification: Buffer) => Buffer[]) | undefined;
}

/** Messages of channels, and the server's word that it ended a subscription. */
const isNotification = (frame: Buffer): boolean =>
  frame[0] === 0x3e && (frame.includes("smessage") || frame.includes("sunsubscribe"));

export async function startRedisProxy(port: number): Promise<RedisProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const redis = connect(port, "127.0.0.1");
    const frames = new FrameSplitter();
    for (const socket of [client, redis]) sockets.add(socket.on("error", () => {}).setNoDelay(true));
    client.on("data", (data) => !proxy.silent && redis.write(data));
    redis.on("data", (data) => {
      if (proxy.silent) return;
      if (!proxy.meddle) return client.write(data);
      for (const frame of frames.push(data as Buffer))
        for (const it of isNotification(frame) ? proxy.meddle(frame) : [frame]) client.write(it);
    });
    for (const [one, other] of [
      [client, redis],
      [redis, client],
    ] as const)
      one.on("close", () => {
        sockets.delete(one);
        if (!proxy.silent) other.destroy();
      });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxy: RedisProxy = {
    address: { host: "127.0.0.1", port: (server.address() as AddressInfo).port, tls: false, database: 0 },
    silent: false,
    meddle: undefined,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
  return proxy;
}

/** Cuts what a server sends in RESP3 into its answers and notifications. */
class FrameSplitter {
  #rest = Buffer.alloc(0);

  push(data: Buffer): Buffer[] {
    this.#rest = Buffer.concat([this.#rest, data]);
    const frames: Buffer[] = [];
    for (let end = endOfFrame(this.#rest, 0); end > 0; end = endOfFrame(this.#rest, 0)) {
      frames.push(this.#rest.subarray(0, end));
      this.#rest = this.#rest.subarray(end);
    }
    return frames;
  }
}

/** Where the frame that begins at `start` ends; -1: it is not whole. */
function endOfFrame(bytes: Buffer, start: number): number {
  const line = bytes.indexOf("\r\n", start);
  if (start >= bytes.length || line < 0) return -1;
  const kind = String.fromCharCode(bytes[start] as number);
  const count = Number(bytes.toString("latin1", start + 1, line));
  if ("$=!".includes(kind)) {
    const end = line + 2 + (count < 0 ? 0 : count + 2);
    return end <= bytes.length ? end : -1;
  }
  let end = line + 2;
  const parts = "*>~".includes(kind) ? count : kind === "%" ? count * 2 : 0;
  for (let part = 0; part < parts && end > 0; part++) end = endOfFrame(bytes, end);
  return end;
}
