import { readFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import type { App } from "./app.ts";
import type { Clock } from "./clock.ts";
import type { Config } from "./config.ts";
import type { Logger } from "./logger.ts";
import type { RpcHandler } from "./rpc/adapter.ts";
import type { CorsOptions } from "./rpc/cors.ts";
import { createHttpServer, type HttpServer } from "./rpc/http.ts";
import type { HttpLimits } from "./rpc/http-limits.ts";
import type { StreamRegistry } from "./rpc/open-streams.ts";
import type { HttpRoute } from "./rpc/plain-http.ts";

export interface ListenPorts {
  /** Whether other processes listen there too. */
  readonly reusePort?: boolean | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly streams: StreamRegistry;
}

/** The port, open. Nothing is found on it until `serve`. Disposing it breaks off its connections. */
export interface OpenPort extends AsyncDisposable {
  readonly http: HttpServer;
  /** Where it listens, such as `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Begins to serve the RPCs, and the routes beside them; the first route whose path matches answers. */
  serve(app: Pick<App, "isKnownOrigin">, rpc: RpcHandler, routes: readonly HttpRoute[]): void;
}

/**
 * Opens the port of a configuration. A free port is known only once it is taken, and tokens name the URL it gives: so the port
 * comes before the features. Rejects where the address is taken or a certificate file cannot be read.
 */
export async function listen(config: Config, ports: ListenPorts, limits: Partial<HttpLimits> = {}): Promise<OpenPort> {
  const later = lateFeatures();
  const http = createHttpServer({
    ...ports,
    routes: later.routes,
    rpc: later.rpc,
    cors: later,
    limits: { maxConnections: config.maxConnections, maxAgeMs: config.maxConnectionAgeMs, ...limits },
    ...(config.tls && { tls: await readCertificate(config.tls) }),
  });
  const url = urlOf(config, await http.listen(config.port, config.host, ports.reusePort));
  return { http, url, serve: later.set, [Symbol.asyncDispose]: () => http[Symbol.asyncDispose]() };
}

/** What the port asks of the features, which are there only after it is open; until then nothing is served. */
function lateFeatures(): CorsOptions & {
  readonly rpc: RpcHandler;
  readonly routes: readonly HttpRoute[];
  readonly set: OpenPort["serve"];
} {
  let features: { app: Pick<App, "isKnownOrigin">; rpc: RpcHandler } | undefined;
  const routes: HttpRoute[] = [];
  return {
    isKnownOrigin: async (origin) => (await features?.app.isKnownOrigin(origin)) ?? false,
    rpc: {
      serves: (path) => features?.rpc.serves(path) ?? false,
      handle: async (path, request, response) => features?.rpc.handle(path, request, response),
      get fast() {
        return features?.rpc.fast;
      },
    },
    routes,
    set: (app, rpc, beside) => {
      features = { app, rpc };
      routes.push(...beside);
    },
  };
}

function urlOf({ host, tls }: Config, { port }: AddressInfo): string {
  return `${tls ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

async function readCertificate({ certFile, keyFile }: NonNullable<Config["tls"]>) {
  const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)]);
  return { cert, key };
}
