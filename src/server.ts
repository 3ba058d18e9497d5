import { type App, createApp } from "./app.ts";
import { placeAfterRestore } from "./audit/place-after-restore.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { Config } from "./config.ts";
import { migrate } from "./db/migrate.ts";
import { type Database, openDatabase } from "./db/orm.ts";
import { checkSealed } from "./db/reseal.ts";
import { watchDatabase } from "./db/watch-database.ts";
import { ENTITIES } from "./entities.ts";
import { placeRestoredEvents } from "./events/place-restored-events.ts";
import { Health } from "./gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "./gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "./gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { createIds } from "./ids.ts";
import { listen } from "./listen.ts";
import { createLogger, type Logger } from "./logger.ts";
import { createRpcHandler } from "./rpc/adapter.ts";
import { createClientAddress } from "./rpc/client-address.ts";
import { createServingState, type ServingState } from "./rpc/health.ts";
import type { HttpServer } from "./rpc/http.ts";
import type { HttpLimits } from "./rpc/http-limits.ts";
import { createMetrics, type GatherMetrics, type Metrics, type MetricsSnapshot } from "./rpc/metrics.ts";
import { createStreamRegistry } from "./rpc/open-streams.ts";
import { reflectionServices } from "./rpc/reflection.ts";
import { createTracing } from "./rpc/tracing.ts";
import { SEALED_COLUMNS } from "./sealed-columns.ts";
import { createSealer } from "./sealing.ts";
import { LONGER_MESSAGES, SERVICES, SHARED_MESSAGES } from "./services.ts";
import type { PasswordHasher } from "./users/passwords/passwords.ts";

export type { GatherMetrics, MetricsSnapshot } from "./rpc/metrics.ts";

/** What tests, the bench and a server of several processes replace. */
export interface Overrides {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: Partial<HttpLimits>;
  readonly passwordHasher: PasswordHasher;
  readonly gatherMetrics: GatherMetrics;
  /** Whether other processes serve the same port. */
  readonly reusePort: boolean;
}

/** A server that listens. Disposing it breaks off what is under way. */
export interface RunningServer extends AsyncDisposable {
  /** Where it listens, such as `http://127.0.0.1:8080`. */
  readonly url: string;
  /** What this process measured so far. */
  metrics(): Promise<MetricsSnapshot>;
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
  await placeHistory(db, logger);
  await checkSealed(db, createSealer(config.encryptionKeys), SEALED_COLUMNS);
  const metrics = resources.use(createMetrics(overrides.gatherMetrics));
  const tracing = resources.use(await createTracing(config.otlpEndpoint));
  const streams = createStreamRegistry(clock);
  const serving = createServingState(SERVICES, streams);
  const port = resources.use(
    await listen(config, { clock, logger, streams, reusePort: overrides.reusePort }, overrides.limits),
  );
  const publicUrl = config.publicUrl ?? port.url;
  const newId = createIds(clock);
  const { passwordHasher } = overrides;
  const app = resources.use(
    await createApp({ config, publicUrl, db, clock, newId, logger, metrics, tracing, streams, passwordHasher }),
  );
  const clientAddress = createClientAddress(config.trustedProxies);
  const { fastPath } = config;
  const routes = allRoutes(app, serving);
  const rpc = createRpcHandler({ ...app, ...OF_MESSAGES, routes, fastPath, clientAddress, clock, logger });
  port.serve(app, rpc, [metrics.route, ...serving.routes, ...app.httpRoutes]);
  gauges(metrics, db, port.http, streams);
  serving.setServing(true);
  const watch = resources.use(watchDatabase(db, clock, (available) => serving.setServing(available)));
  const running = resources.move();
  return {
    url: port.url,
    metrics: metrics.snapshot,
    async drain() {
      watch[Symbol.dispose]();
      serving.setServing(false);
      await port.http.drain(config.drainTimeoutMs);
      await running.disposeAsync();
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

const OF_MESSAGES = { limits: { longerMessages: LONGER_MESSAGES }, sharedTypes: SHARED_MESSAGES };

/** Where a dump was restored into another cluster, has what is new stand behind what came along. */
async function placeHistory(db: Database, logger: Logger): Promise<void> {
  const moved = await placeRestoredEvents(db);
  if (moved > 0)
    logger.warn({ events: moved }, "the events of another cluster, a restored dump, were put before those of this one");
  if (await placeAfterRestore(db))
    logger.warn("the database comes from another server: new audit entries are placed behind those that came along");
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

function gauges(metrics: Metrics, { pool }: Database, http: HttpServer, streams: { readonly size: number }): void {
  metrics.gauge("db_connections", "Database connections that are open", () => pool.totalCount);
  metrics.gauge("db_connections_idle", "Database connections that nobody uses", () => pool.idleCount);
  metrics.gauge("db_waiting", "Calls that wait for a database connection", () => pool.waitingCount);
  metrics.gauge("connections", "TCP connections of clients", () => http.connections);
  metrics.gauge("http2_sessions", "Those of them that speak HTTP/2", () => http.sessions);
  metrics.gauge("streams", "Streams that are open", () => streams.size);
}
