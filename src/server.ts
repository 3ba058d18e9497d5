import { readFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { type App, createApp, SERVICES } from "./app.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { Config } from "./config.ts";
import { migrate } from "./db/migrate.ts";
import { type Database, openDatabase } from "./db/orm.ts";
import { watchDatabase } from "./db/watch-database.ts";
import { ENTITIES } from "./entities.ts";
import { Health } from "./gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "./gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "./gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { createIds } from "./ids.ts";
import { createLogger, type Logger } from "./logger.ts";
import { createRpcHandler, type RpcHandler } from "./rpc/adapter.ts";
import { createClientAddress } from "./rpc/client-address.ts";
import type { CorsOptions } from "./rpc/cors.ts";
import { createServingState, type ServingState } from "./rpc/health.ts";
import { createHttpServer, type HttpServer } from "./rpc/http.ts";
import type { HttpLimits } from "./rpc/http-limits.ts";
import { createMetrics, type Metrics } from "./rpc/metrics.ts";
import { createStreamRegistry } from "./rpc/open-streams.ts";
import type { HttpRoute } from "./rpc/plain-http.ts";
import { reflectionServices } from "./rpc/reflection.ts";
import { createTracing } from "./rpc/tracing.ts";

/** What tests replace. */
export interface Overrides {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: Partial<HttpLimits>;
}

/** A server that listens. Disposing it breaks off what is under way. */
export interface RunningServer extends AsyncDisposable {
  /** Where it listens, such as `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Takes nothing new, ends the streams, lets calls finish (at most `MUSTER_DRAIN_TIMEOUT`), and closes everything. */
  drain(): Promise<void>;
}

/** The composition root: from a configuration to a running server. Brings the schema up to date first. */
export async function startServer(config: Config, overrides: Partial<Overrides> = {}): Promise<RunningServer> {
  const clock = overrides.clock ?? systemClock;
  const logger = overrides.logger ?? createLogger(config.logLevel);
  await using resources = new AsyncDisposableStack();
  const db = resources.use(await openDatabase(config.database, ENTITIES, databaseOptions(config), logger));
  const migrated = await migrate(db);
  if (migrated.length > 0) logger.info({ migrations: migrated }, "the schema was brought up to date");
  const metrics = resources.use(createMetrics());
  const tracing = resources.use(await createTracing(config.otlpEndpoint));
  const streams = createStreamRegistry();
  const routes: HttpRoute[] = [];
  const later = lateFeatures();
  const serving = createServingState(SERVICES, streams);
  const http = resources.use(
    createHttpServer({
      clock,
      logger,
      streams,
      routes,
      rpc: later.rpc,
      cors: later,
      limits: { maxConnections: config.maxConnections, maxAgeMs: config.maxConnectionAgeMs, ...overrides.limits },
      ...(config.tls && { tls: await readCertificate(config.tls) }),
    }),
  );
  // A free port is known only once it is taken, and tokens name the URL it gives: so the port comes before the features.
  const url = urlOf(config, await http.listen(config.port, config.host));
  const publicUrl = config.publicUrl ?? url;
  const newId = createIds(clock);
  const app = resources.use(
    await createApp({ config, publicUrl, db, clock, newId, logger, metrics, tracing, streams }),
  );
  const clientAddress = createClientAddress(config.trustedProxies);
  later.set(app, createRpcHandler({ ...app, routes: allRoutes(app, serving), clientAddress, clock, logger }));
  routes.push(metrics.route, ...serving.routes, ...app.httpRoutes);
  gauges(metrics, db, http, streams);
  serving.setServing(true);
  const watch = resources.use(watchDatabase(db, clock, (available) => serving.setServing(available)));
  const running = resources.move();
  return {
    url,
    async drain() {
      watch[Symbol.dispose]();
      serving.setServing(false);
      await http.drain(config.drainTimeoutMs);
      await running.disposeAsync();
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** The services of the contract, and those of the protocol itself. */
function allRoutes(app: App, serving: ServingState): App["routes"] {
  const reflection = reflectionServices([...SERVICES, Health]);
  return (router) => {
    app.routes(router);
    router.service(Health, serving.service);
    router.service(ServerReflection, reflection.v1);
    router.service(ServerReflectionAlpha, reflection.v1alpha);
  };
}

const databaseOptions = ({ dbPoolSize, dbStatementTimeoutMs }: Config) => ({
  poolSize: dbPoolSize,
  statementTimeoutMs: dbStatementTimeoutMs,
});

/** What the port asks of the features, which are there only after it is open; until then nothing is served. */
function lateFeatures(): CorsOptions & { readonly rpc: RpcHandler; set(app: App, rpc: RpcHandler): void } {
  let features: { app: App; rpc: RpcHandler } | undefined;
  return {
    isKnownOrigin: async (origin) => (await features?.app.isKnownOrigin(origin)) ?? false,
    rpc: {
      serves: (path) => features?.rpc.serves(path) ?? false,
      handle: async (path, request, response) => features?.rpc.handle(path, request, response),
    },
    set: (app, rpc) => {
      features = { app, rpc };
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

function gauges(metrics: Metrics, { pool }: Database, http: HttpServer, streams: { readonly size: number }): void {
  metrics.gauge("db_connections", "Database connections that are open", () => pool.totalCount);
  metrics.gauge("db_connections_idle", "Database connections that nobody uses", () => pool.idleCount);
  metrics.gauge("db_waiting", "Calls that wait for a database connection", () => pool.waitingCount);
  metrics.gauge("connections", "TCP connections of clients", () => http.connections);
  metrics.gauge("http2_sessions", "Those of them that speak HTTP/2", () => http.sessions);
  metrics.gauge("streams", "Streams that are open", () => streams.size);
}
