import { createServer as createHttp1Server, type Server as Http1Server, type ServerResponse } from "node:http";
import {
  createServer as createHttp2Server,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { createServer as createTcpServer, type Socket, type Server as TcpServer } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import type { Clock } from "../clock.ts";
import type { HttpLimits } from "./http-limits.ts";
import type { RequestListener } from "./http-requests.ts";
import type { SessionKeeper } from "./http-sessions.ts";
import { sniff } from "./http-sniff.ts";

/** PEM. */
export interface Certificate {
  readonly key: string | Buffer;
  readonly cert: string | Buffer;
}

/** The servers behind one port, and what is connected to it. */
export interface Port {
  readonly root: TcpServer;
  readonly http1: Http1Server;
  /** All connections. */
  readonly sockets: ReadonlySet<Socket>;
  /** Those that have not said yet what they speak. */
  readonly undecided: ReadonlySet<Socket>;
}

/** A port that tells HTTP/1.1, HTTP/2 and TLS apart. Nothing listens yet. */
export function createPort(
  limits: HttpLimits,
  tls: Certificate | undefined,
  listener: RequestListener,
  keeper: SessionKeeper,
  clock: Clock,
): Port {
  const sockets = new Set<Socket>();
  const undecided = new Set<Socket>();
  const http1 = http1Server(limits, listener);
  const http2 = http2Server(limits, listener).on("session", keeper.watch);
  const secure = tls && createTlsServer(tlsOptions(tls, limits), routeTls);

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
      if (protocol === "tls") return secure ? secure.emit("connection", socket) : socket.destroy();
      if (protocol === "http2") return http2.emit("connection", socket);
      http1.emit("connection", socket);
      socket.resume();
    });
  });
  root.maxConnections = limits.maxConnections;
  return { root, http1, sockets, undecided };
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
    (request, response: ServerResponse) => listener.onHttp1(request, response),
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
    (request, response) => listener.onHttp2(request, response),
  );
  passStreams(server, listener);
  // Connections that break belong to no call, and their sessions hear of it.
  return server.on("sessionError", () => {});
}

/** Puts the listener for streams before Node's own, which makes a request and a response of each. */
function passStreams(server: Http2Server, listener: RequestListener): void {
  const toRequest = server.listeners("stream") as ((this: Http2Server, ...stream: StreamEvent) => void)[];
  server.removeAllListeners("stream");
  server.on("stream", (...event: StreamEvent) => {
    const [stream, headers, , rawHeaders] = event;
    if (!listener.onStream(stream, headers, rawHeaders)) for (const each of toRequest) each.call(server, ...event);
  });
}

/** What Node emits for a stream. */
type StreamEvent = [
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  flags: number,
  rawHeaders: readonly string[],
];

function tlsOptions(tls: Certificate, limits: HttpLimits) {
  return {
    ...tls,
    ALPNProtocols: ["h2", "http/1.1"],
    minVersion: "TLSv1.2" as const,
    handshakeTimeout: limits.prefaceTimeoutMs,
  };
}
