import { createServer as createHttp1Server, type Server as Http1Server, type ServerResponse } from "node:http";
import { createServer as createHttp2Server, type Http2Server } from "node:http2";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import type { Clock } from "../clock.ts";
import { MusterError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { RpcHandler } from "./adapter.ts";
import type { CorsOptions } from "./cors.ts";
import { HTTP_LIMITS, type HttpLimits } from "./http-limits.ts";
import { createRequestListener, type RequestListener } from "./http-requests.ts";
import { createSessionKeeper } from "./http-sessions.ts";
import { sniff } from "./http-sniff.ts";
import type { StreamRegistry } from "./open-streams.ts";
import type { HttpRoute } from "./plain-http.ts";

export interface HttpServerOptions {
  readonly rpc: RpcHandler;
  /** What is served beside the RPCs; the first whose path matches answers. */
  readonly routes: readonly HttpRoute[];
  readonly cors: CorsOptions;
  /** Ended by `drain` with SHUTTING_DOWN. */
  readonly streams: StreamRegistry;
  readonly limits?: Partial<HttpLimits>;
  /** PEM. With it the port speaks TLS too. */
  readonly tls?: { readonly key: string | Buffer; readonly cert: string | Buffer };
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface HttpServer extends AsyncDisposable {
  /** Begins to serve; port 0 takes a free one. */
  listen(port: number, host: string): Promise<AddressInfo>;
  /**
   * Takes no new connections and no new requests on the old ones, ends the streams, lets the other calls finish, and breaks
   * off after `graceMs` what is left. Gives the number of connections broken off.
   */
  drain(graceMs: number): Promise<number>;
  /** TCP connections that are open. */
  readonly connections: number;
  /** Those of them that speak HTTP/2. */
  readonly sessions: number;
}

/** One port for HTTP/1.1 and HTTP/2, cleartext (told apart by the preface) and, with a certificate, TLS (by ALPN). */
export function createHttpServer(options: HttpServerOptions): HttpServer {
  const limits = { ...HTTP_LIMITS, ...options.limits };
  const { clock } = options;
  const sockets = new Set<Socket>();
  /** Those whose protocol is not known yet. */
  const undecided = new Set<Socket>();
  const keeper = createSessionKeeper(limits, clock);
  const listener = createRequestListener(options, limits);
  const http1 = http1Server(limits, listener);
  const http2 = http2Server(limits, listener).on("session", keeper.watch);
  const tls = options.tls && createTlsServer(tlsOptions(options.tls, limits), routeTls);

  function routeTls(socket: TLSSocket): void {
    socket.on("error", () => socket.destroy());
    (socket.alpnProtocol === "h2" ? http2 : http1).emit("connection", socket);
  }

  const root = createTcpServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 }, (socket) => {
    sockets.add(socket);
    undecided.add(socket);
    socket.once("close", () => sockets.delete(socket) && undecided.delete(socket));
    sniff(socket, limits.prefaceTimeoutMs, clock, (protocol) => {
      undecided.delete(socket);
      if (protocol === "tls") return tls ? tls.emit("connection", socket) : socket.destroy();
      if (protocol === "http2") return http2.emit("connection", socket);
      http1.emit("connection", socket);
      socket.resume();
    });
  });
  root.maxConnections = limits.maxConnections;

  async function drain(graceMs: number): Promise<number> {
    const closed = root.listening
      ? new Promise<void>((resolve) => void root.close(() => resolve()))
      : Promise.resolve();
    listener.drain(() => http1.closeIdleConnections());
    keeper.closeAll();
    options.streams.endAll(new MusterError("SHUTTING_DOWN"));
    for (const socket of undecided) socket.destroy();
    let broken = 0;
    const breakOff = () => {
      broken = sockets.size;
      keeper.destroyAll();
      for (const socket of sockets) socket.destroy();
    };
    if (graceMs <= 0) breakOff();
    using _force = clock.schedule(graceMs, breakOff);
    await closed;
    http1.close();
    return broken;
  }

  return {
    listen: (port, host) =>
      new Promise((resolve, reject) => {
        root.once("error", reject);
        root.listen(port, host, () => {
          root.off("error", reject);
          root.on("error", (error) => options.logger.error({ err: error }, "the port failed"));
          resolve(root.address() as AddressInfo);
        });
      }),
    drain,
    get connections() {
      return sockets.size;
    },
    get sessions() {
      return keeper.size;
    },
    [Symbol.asyncDispose]: async () => void (await drain(0)),
  };
}

function http1Server(limits: HttpLimits, listener: RequestListener): Http1Server {
  const server = createHttp1Server(
    {
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.idleTimeoutMs,
      connectionsCheckingInterval: Math.min(1_000, limits.headersTimeoutMs),
    },
    (request, response: ServerResponse) => listener.onRequest(request, response),
  );
  // The server never listens itself: this starts the check of its timeouts.
  server.emit("listening");
  return server;
}

function http2Server(limits: HttpLimits, listener: RequestListener): Http2Server {
  const server = createHttp2Server(
    {
      settings: {
        maxConcurrentStreams: limits.maxConcurrentStreams,
        maxHeaderListSize: limits.maxHeaderBytes,
        enablePush: false,
      },
      maxHeaderListPairs: 128,
      maxSettings: 32,
      maxSessionInvalidFrames: 100,
      maxSessionRejectedStreams: 100,
      // A burst of resets, and so many a second after it, before the connection is closed (CVE-2023-44487).
      streamResetBurst: 500,
      streamResetRate: 50,
    },
    (request, response) => listener.onRequest(request, response),
  );
  // Connections that break belong to no call, and their sessions hear of it.
  return server.on("sessionError", () => {});
}

function tlsOptions(tls: NonNullable<HttpServerOptions["tls"]>, limits: HttpLimits) {
  return {
    ...tls,
    ALPNProtocols: ["h2", "http/1.1"],
    minVersion: "TLSv1.2" as const,
    handshakeTimeout: limits.prefaceTimeoutMs,
  };
}
