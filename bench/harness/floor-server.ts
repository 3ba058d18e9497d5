import { createServer as createHttp1Server } from "node:http";
import { createServer as createHttp2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo, Server } from "node:net";
import type { FloorHandler, Protocol } from "./row.ts";

/** The least a Node program can do to answer calls in a protocol: no routes, no checks, nothing of Muster. */
export function serveFloor(protocol: Protocol, handle: FloorHandler): Server {
  if (protocol === "connect-json-h1") return serveHttp1(handle);
  const answer = protocol === "grpc" ? answerGrpc : answerJson;
  return createHttp2Server({ settings: { maxConcurrentStreams: 1_000 } }).on("stream", (stream: ServerHttp2Stream) =>
    read(stream, (body) => {
      const message = protocol === "grpc" ? body.subarray(5) : body;
      settle(
        () => handle(message),
        (bytes) => answer(stream, bytes),
        (why) => {
          stream.respond({ ":status": 500 });
          stream.end(why);
        },
      );
    }),
  );
}

/** Listens on a free port of the loopback interface. */
export function listen(server: Server): Promise<number> {
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)));
}

/** A length-prefixed message of gRPC. */
export function envelope(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(5 + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  return frame;
}

function serveHttp1(handle: FloorHandler): Server {
  return createHttp1Server((request, response) =>
    read(request, (body) =>
      settle(
        () => handle(body),
        (bytes) => {
          response.writeHead(200, { "content-type": "application/json", "content-length": bytes.length });
          response.end(bytes);
        },
        (why) => response.writeHead(500).end(why),
      ),
    ),
  );
}

function answerGrpc(stream: ServerHttp2Stream, bytes: Uint8Array): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.end(envelope(bytes));
}

function answerJson(stream: ServerHttp2Stream, bytes: Uint8Array): void {
  stream.respond({ ":status": 200, "content-type": "application/json", "content-length": bytes.length });
  stream.end(bytes);
}

/** A body is mostly one chunk. */
function read(source: NodeJS.ReadableStream, done: (body: Buffer) => void): void {
  let body: Buffer | undefined;
  source.on("data", (chunk: Buffer) => {
    body = body ? Buffer.concat([body, chunk]) : chunk;
  });
  source.on("end", () => done(body ?? Buffer.alloc(0)));
}

function settle(
  handle: () => Uint8Array | Promise<Uint8Array>,
  done: (bytes: Uint8Array) => void,
  failed: (why: string) => void,
): void {
  try {
    const answer = handle();
    if (answer instanceof Uint8Array) done(answer);
    else void answer.then(done, (error: unknown) => failed(String(error)));
  } catch (error) {
    failed(String(error));
  }
}
