import { connect as connectTcp, type Socket } from "node:net";
import type { Call } from "./row.ts";

/** One connection of HTTP/1.1, one call at a time. */
export interface Http1Connection {
  post(call: Call, message: Uint8Array): Promise<Uint8Array>;
  close(): void;
}

/** Connects to a server on this machine. Reads only answers that announce their length. */
export async function connectHttp1(port: number): Promise<Http1Connection> {
  const socket = connectTcp({ port, host: "127.0.0.1", noDelay: true });
  await new Promise<void>((resolve, reject) => void socket.once("error", reject).once("connect", resolve));
  let waiting: PromiseWithResolvers<Uint8Array> | undefined;
  let received = Buffer.alloc(0);
  const fail = (error: Error) => waiting?.reject(error);
  socket.on("error", fail).on("close", () => fail(new Error("the connection closed")));
  socket.on("data", (chunk) => {
    received = received.length > 0 ? Buffer.concat([received, chunk]) : chunk;
    try {
      const answer = parse(received);
      if (!answer) return;
      received = Buffer.alloc(0);
      waiting?.resolve(answer);
    } catch (error) {
      fail(error as Error);
    }
  });
  return {
    post(call, message) {
      waiting = Promise.withResolvers();
      write(socket, call, message);
      return waiting.promise;
    },
    close: () => socket.destroy(),
  };
}

function write(socket: Socket, { path, headers }: Call, message: Uint8Array): void {
  const fields = Object.entries({
    host: "127.0.0.1",
    "content-type": "application/json",
    "connect-protocol-version": "1",
    "content-length": message.length,
    ...headers,
  });
  const head = `POST ${path} HTTP/1.1\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
  socket.write(Buffer.concat([Buffer.from(head, "latin1"), message]));
}

/** The body of a whole answer; undefined while there is more to come. */
function parse(received: Buffer): Uint8Array | undefined {
  const end = received.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const head = received.toString("latin1", 0, end);
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? Number.NaN);
  if (!head.startsWith("HTTP/1.1 200") || Number.isNaN(length))
    throw new Error(`not an answer: ${received.toString()}`);
  return received.length < end + 4 + length ? undefined : received.subarray(end + 4);
}
