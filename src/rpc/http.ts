import type { AddressInfo, ListenOptions } from "node:net";
import type { Clock } from "../clock.ts";
import { MusterError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { RpcHandler } from "./adapter.ts";
import type { CorsOptions } from "./cors.ts";
import { HTTP_LIMITS, type HttpLimits } from "./http-limits.ts";
import { type Certificate, createPort, type Port } from "./http-port.ts";
import { createRequestListener, type RequestListener } from "./http-requests.ts";
import { createSessionKeeper, type SessionKeeper } from "./http-sessions.ts";
import type { StreamRegistry } from "./open-streams.ts";
import type { HttpRoute } from "./plain-http.ts";

export interface HttpServerOptions {
  readonly rpc: RpcHandler;
  /** What is served beside the RPCs; the first whose path matches answers. */
  readonly routes: readonly HttpRoute[];
  readonly cors: CorsOptions;
  /** Ended with SHUTTING_DOWN by `drain`, and those on an HTTP/2 connection when that has become too old. */
  readonly streams: StreamRegistry;
  readonly limits?: Partial<HttpLimits>;
  /** With it the port speaks TLS too. */
  readonly tls?: Certificate;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface HttpServer extends AsyncDisposable {
  /**
   * Begins to serve; port 0 takes a free one. With `reusePort` other processes of this user may do so too, and the system gives each of
   * them its share of the connections.
   */
  listen(port: number, host: string, reusePort?: boolean): Promise<AddressInfo>;
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
  const endStreams = (session: object) => options.streams.endOn(session, new MusterError("SHUTTING_DOWN"));
  const keeper = createSessionKeeper(limits, options.clock, endStreams);
  const listener = createRequestListener(options, limits);
  const port = createPort(limits, options.tls, listener, keeper, options.clock);
  const drain = (graceMs: number) => drainPort(port, listener, keeper, options, graceMs);
  return {
    listen: (number, host, reusePort = false) => listen(port, { port: number, host, reusePort }, options.logger),
    drain,
    get connections() {
      return port.sockets.size;
    },
    get sessions() {
      return keeper.size;
    },
    [Symbol.asyncDispose]: async () => void (await drain(0)),
  };
}

function listen({ root }: Port, place: ListenOptions, logger: Logger): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    root.once("error", reject);
    root.listen(place, () => {
      root.off("error", reject);
      root.on("error", (error) => logger.error({ err: error }, "the port failed"));
      resolve(root.address() as AddressInfo);
    });
  });
}

async function drainPort(
  { root, http1, sockets, undecided }: Port,
  listener: RequestListener,
  keeper: SessionKeeper,
  { clock, streams }: Pick<HttpServerOptions, "clock" | "streams">,
  graceMs: number,
): Promise<number> {
  const { promise: closed, resolve: close } = Promise.withResolvers<void>();
  if (root.listening) root.close(() => close());
  else close();
  listener.drain(() => http1.closeIdleConnections());
  keeper.closeAll();
  streams.endAll(new MusterError("SHUTTING_DOWN"));
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
