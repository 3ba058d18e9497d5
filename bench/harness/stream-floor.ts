import { createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";

/** Streams that stay open, and are written to all at once: the least that a server that pushes can do. */
export interface StreamFloor {
  readonly server: Http2Server;
  /** Writes the bytes to every stream, `times` times, every `intervalMs`. */
  writeToAll(options: { bytes: Uint8Array; intervalMs: number; times: number }): Promise<void>;
}

export function createStreamFloor(): StreamFloor {
  const open = new Set<ServerHttp2Stream>();
  const server = createServer({ settings: { maxConcurrentStreams: 1_000 } });
  server.on("stream", (stream) => {
    open.add(stream);
    stream.on("close", () => open.delete(stream));
    stream.on("error", () => {});
    stream.resume();
    stream.respond({ ":status": 200, "content-type": "application/grpc" });
  });
  return {
    server,
    async writeToAll({ bytes, intervalMs, times }) {
      for (let round = 0; round < times; round++) {
        for (const stream of open) stream.write(bytes);
        await new Promise((resolve) => setTimeout(resolve, intervalMs));
      }
    },
  };
}
