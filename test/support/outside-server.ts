import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { createServer as createRawServer, type Socket } from "node:net";
import { afterAll } from "vitest";
import { CERTIFICATE, CERTIFICATE_KEY } from "../wire/edge-certificate.ts";

/** Another party's server on loopback, closed after the file. */
export interface OutsideServer {
  readonly port: number;
  /** Its host and port, as an allowlist names them. */
  readonly host: string;
  readonly url: string;
  /** What it was asked, in order. */
  readonly requests: IncomingMessage[];
  /** How many connections were opened to it. */
  readonly connections: () => number;
  /** What it answers from now on. */
  answer: RequestListener;
  /** Closes it at once, with its connections. */
  stop(): Promise<void>;
}

/** Starts one that answers 200 and nothing. `secure`: https, by a certificate for 127.0.0.1 and localhost that nobody trusts, or by another one. */
export async function startOutsideServer(
  answer: RequestListener = (_, response) => response.end(),
  secure: boolean | { cert: string; key: string } = false,
) {
  let connections = 0;
  const requests: IncomingMessage[] = [];
  const listener: RequestListener = (request, response) => {
    requests.push(request);
    outside.answer(request, response);
  };
  const certified = secure === true ? { cert: CERTIFICATE, key: CERTIFICATE_KEY } : secure;
  const server = certified ? createSecureServer(certified, listener) : createServer(listener);
  server.on("connection", () => (connections += 1));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const host = `127.0.0.1:${port}`;
  const stop = () => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => void server.close(() => resolve()));
  };
  const url = `${secure ? "https" : "http"}://${host}`;
  const outside: OutsideServer = { port, host, url, requests, connections: () => connections, answer, stop };
  afterAll(stop);
  return outside;
}

/** A server that says whatever it likes once something was sent to it, closed after the file; gives its host and port. */
export async function startRawServer(say: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createRawServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    socket.once("data", () => say(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  afterAll(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
