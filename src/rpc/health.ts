import type { DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { type Health, HealthCheckResponse_ServingStatus as Status } from "../gen/grpc/health/v1/health_pb.ts";
import type { OpenStream, StreamRegistry } from "./open-streams.ts";
import type { HttpRoute } from "./plain-http.ts";

/** Whether the server serves: told to load balancers over gRPC (grpc.health.v1) and plain HTTP. */
export interface ServingState {
  /** Not serving at first, while the database is away, and while draining. */
  setServing(serving: boolean): void;
  readonly serving: boolean;
  readonly service: ServiceImpl<typeof Health>;
  /** `GET /healthz`: the process lives. `GET /readyz`: it serves. */
  readonly routes: readonly HttpRoute[];
}

/** The services' state is one: all of them need the same database. The empty name stands for the server. */
export function createServingState(services: readonly DescService[], streams: StreamRegistry): ServingState {
  const names = new Set(["", ...services.map((service) => service.typeName)]);
  const watchers = new Set<() => void>();
  let serving = false;

  const statusOf = (name: string): Status => {
    if (!names.has(name)) return Status.SERVICE_UNKNOWN;
    return serving ? Status.SERVING : Status.NOT_SERVING;
  };

  return {
    setServing(value) {
      if (value === serving) return;
      serving = value;
      for (const wake of watchers) wake();
    },
    get serving() {
      return serving;
    },
    service: {
      check({ service }) {
        if (!names.has(service)) throw new ConnectError("no such service", Code.NotFound);
        return { status: statusOf(service) };
      },
      list: () => ({ statuses: Object.fromEntries([...names].map((name) => [name, { status: statusOf(name) }])) }),
      watch: ({ service }, context) => watch(() => statusOf(service), watchers, streams, context),
    },
    routes: [
      { method: "GET", path: /^\/healthz$/, handle: () => text(200, "alive\n") },
      { method: "GET", path: /^\/readyz$/, handle: () => (serving ? text(200, "ready\n") : text(503, "not ready\n")) },
    ],
  };
}

/** Gives the status, and then each change of it, until the caller leaves or the server ends the stream. */
async function* watch(read: () => Status, watchers: Set<() => void>, streams: StreamRegistry, context: HandlerContext) {
  using stream = streams.open(context);
  const state = createWakeUp(context, stream);
  watchers.add(state.wake);
  try {
    for (let sent: Status | undefined; ; await state.next()) {
      const status = read();
      if (status !== sent) yield { status };
      sent = status;
    }
  } finally {
    watchers.delete(state.wake);
  }
}

const text = (status: number, body: string) => ({
  status,
  headers: { "content-type": "text/plain; charset=utf-8" },
  body,
});

/** A wait that ends when woken, and fails when the caller leaves or the server ends the stream. */
function createWakeUp(context: HandlerContext, stream: OpenStream) {
  let woken = Promise.withResolvers<void>();
  const fail = (event: Event) => woken.reject((event.target as AbortSignal).reason);
  for (const signal of [context.signal, stream.signal]) {
    if (signal.aborted) woken.reject(signal.reason);
    else signal.addEventListener("abort", fail, { once: true });
  }
  // The failure is looked at when the next wait begins.
  woken.promise.catch(() => {});
  return {
    wake: () => woken.resolve(),
    async next() {
      await woken.promise;
      if (context.signal.aborted) throw context.signal.reason;
      if (stream.signal.aborted) throw stream.signal.reason;
      woken = Promise.withResolvers();
      woken.promise.catch(() => {});
    },
  };
}
