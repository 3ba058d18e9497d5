import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import type { ConnectRouter, HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { type Clock, systemClock } from "../../src/clock.ts";
import { Health } from "../../src/gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../src/gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../../src/gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { PresenceService, WatchPresenceResponseSchema } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { createLogger, type Logger } from "../../src/logger.ts";
import { type AdapterOptions, createRpcHandler, type RpcLimits } from "../../src/rpc/adapter.ts";
import { CALLER } from "../../src/rpc/caller.ts";
import { CLIENT_ADDRESS, createClientAddress } from "../../src/rpc/client-address.ts";
import type { Gate } from "../../src/rpc/gate.ts";
import { createServingState, type ServingState } from "../../src/rpc/health.ts";
import { createHttpServer, type HttpServer, type HttpServerOptions } from "../../src/rpc/http.ts";
import { mapErrors } from "../../src/rpc/map-errors.ts";
import { createMetrics, type Metrics } from "../../src/rpc/metrics.ts";
import { createStreamRegistry, type StreamRegistry } from "../../src/rpc/open-streams.ts";
import { reflectionServices } from "../../src/rpc/reflection.ts";
import { refuseUndecoded } from "../../src/rpc/refuse-undecoded.ts";

export const GET_USER = "/muster.v1.UserService/GetUser";
export const UPSERT_USER = "/muster.v1.UserService/UpsertUser";
export const WATCH = "/muster.v1.PresenceService/WatchPresence";

type Options = Partial<Pick<HttpServerOptions, "limits" | "tls" | "clock" | "routes">> & {
  gate?: Gate;
  fastPath?: boolean;
  rpcLimits?: Partial<RpcLimits>;
  trustedProxies?: string[];
};

/** The edge on a real port, in front of services that answer without a database. */
export async function startEdge(options: Options = {}) {
  const log: string[] = [];
  const logger = createLogger("info", { write: (line: string) => void log.push(line) });
  const clock = options.clock ?? systemClock;
  const streams = createStreamRegistry(systemClock);
  const serving = createServingState([UserService, PresenceService], streams);
  serving.setServing(true);
  const metrics = createMetrics();
  const ended: Ended[] = [];
  const held = new HeldCalls();
  const routes = edgeRoutes(serving, streams, ended, held);
  const rpc = createRpcHandler(rpcOptions(options, logger, clock, routes));
  const http = createHttpServer({
    rpc,
    routes: [...serving.routes, metrics.route, ...(options.routes ?? [])],
    cors: { isKnownOrigin: (origin) => origin === "https://app.example" },
    streams,
    limits: options.limits ?? {},
    ...(options.tls && { tls: options.tls }),
    clock,
    logger,
  });
  const { port } = await http.listen(0, "127.0.0.1");
  return {
    http,
    url: `${options.tls ? "https" : "http"}://127.0.0.1:${port}`,
    port,
    log,
    streams,
    serving,
    ended,
    held,
    [Symbol.asyncDispose]: () => stop(http, metrics),
  };
}

const rpcOptions = (
  options: Options,
  logger: Logger,
  clock: Clock,
  routes: AdapterOptions["routes"],
): AdapterOptions => ({
  clock,
  logger,
  routes,
  clientAddress: createClientAddress(options.trustedProxies ?? []),
  gate: options.gate ?? (async (_, { contextValues }) => void contextValues.set(CALLER, { kind: "operator" })),
  fastPath: options.fastPath ?? true,
  interceptors: [mapErrors(logger), refuseUndecoded],
  limits: options.rpcLimits ?? {},
});

async function stop(http: HttpServer, metrics: Metrics): Promise<void> {
  await http[Symbol.asyncDispose]();
  metrics[Symbol.dispose]();
}

function edgeRoutes(serving: ServingState, streams: StreamRegistry, ended: Ended[], held: HeldCalls) {
  const reflection = reflectionServices([UserService, PresenceService, Health]);
  return (router: ConnectRouter) => {
    router.service(Health, serving.service);
    router.service(ServerReflection, reflection.v1);
    router.service(ServerReflectionAlpha, reflection.v1alpha);
    router.service(UserService, usersOf(held));
    router.service(PresenceService, presence(streams, ended));
  };
}

/** Calls that do not end before they are let go. */
class HeldCalls {
  /** How many have arrived. */
  arrived = 0;
  readonly #gate = Promise.withResolvers<void>();

  readonly letGo = (): void => this.#gate.resolve();

  async hold(): Promise<void> {
    this.arrived++;
    await this.#gate.promise;
  }
}

const usersOf = (held: HeldCalls): Partial<ServiceImpl<typeof UserService>> => ({
  getUser: ({ ref }, context) => ({
    user: { id: ref?.ref.value === undefined ? "" : String(ref.ref.value), name: context.values.get(CLIENT_ADDRESS) },
  }),
  upsertUser: async ({ user, externalId }, context) => {
    if (externalId === "slow") await pause(300, undefined, { signal: context.signal });
    if (externalId === "held") await held.hold();
    return { user: { name: user?.name ?? "", externalId }, created: true };
  },
});

/** A stream that ended, and what ended it. */
interface Ended {
  readonly context: HandlerContext;
  readonly reason: unknown;
}

/** What a watch of any user says without end. */
const LONG_BEAT = create(WatchPresenceResponseSchema, {
  resumeToken: new Uint8Array(16 * 1024),
  event: { case: "heartbeat", value: {} },
});

const presence = (streams: StreamRegistry, ended: Ended[]): Partial<ServiceImpl<typeof PresenceService>> => ({
  async *watchPresence({ refs }, context) {
    using stream = streams.open(context);
    const over = Promise.withResolvers<never>();
    over.promise.catch(() => {});
    for (const signal of [context.signal, stream.signal])
      signal.addEventListener("abort", () => {
        ended.push({ context, reason: signal.reason });
        over.reject(signal.reason);
      });
    yield { event: { case: "opened", value: { watchId: "w", resumed: false } } };
    while (refs.length > 0) yield LONG_BEAT;
    await over.promise;
  },
});

/** A TCP connection whose answer is gathered as text. */
export function dial(port: number): Socket & { text: () => string; gone: Promise<void> } {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
  });
  socket.on("error", () => {});
  const gone = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  return Object.assign(socket, { text: () => text, gone });
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly trailers: Record<string, string>;
  readonly body: Buffer;
}

/** One request over HTTP/2 with prior knowledge, byte for byte as given. */
export function overHttp2(
  url: string,
  path: string,
  headers: Record<string, string>,
  body?: Uint8Array,
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(url, { rejectUnauthorized: false });
    session.on("error", reject);
    const stream = session.request(
      { ":method": body ? "POST" : "GET", ":path": path, ...headers },
      { endStream: !body },
    );
    const chunks: Buffer[] = [];
    let status = 0;
    let answered: Record<string, string> = {};
    let trailers: Record<string, string> = {};
    stream.on("response", (received) => {
      status = Number(received[":status"]);
      answered = { ...(received as Record<string, string>) };
    });
    stream.on("trailers", (received) => {
      trailers = { ...(received as Record<string, string>) };
    });
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", reject);
    stream.on("close", () => {
      session.close();
      resolve({ status, headers: answered, trailers, body: Buffer.concat(chunks) });
    });
    if (body) stream.end(body);
  });
}
