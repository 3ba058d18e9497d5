import { AggregatorRegistry, Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { HttpRoute } from "./plain-http.ts";

/** The metrics of one process at a moment, as they go from one process to another. */
export type MetricsSnapshot = readonly object[];

/** Gives what all processes behind the same port measured, the one that asks, whose own it takes, among them. */
export type GatherMetrics = (own: MetricsSnapshot) => Promise<readonly MetricsSnapshot[]>;

export interface Metrics extends Disposable {
  /** Counts a call that ended with `code` (in Connect's spelling, `ok` for success) after `seconds`. */
  observeCall(service: string, method: string, code: string, seconds: number): void;
  /** Adds a gauge that is read when the metrics are. `name` is without the prefix `muster_`. */
  gauge(name: string, help: string, read: () => number): void;
  /** The same with a value for each value of one label; what is not read is not shown. Of several processes the largest counts. */
  gaugeBy(label: string, name: string, help: string, read: () => Iterable<readonly [string, number]>): void;
  /** Adds a counter, from 0; what it gives adds one. `name` is without the prefix `muster_` and the ending `_total`. */
  counter(name: string, help: string): () => void;
  /** The same for each value of one label. */
  counterBy(label: string, name: string, help: string): (value: string) => void;
  snapshot(): Promise<MetricsSnapshot>;
  /** `GET /metrics`, in the text format of Prometheus. */
  readonly route: HttpRoute;
}

/** From a call served out of memory to one that a busy database holds up. */
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

/**
 * Metrics of one server, in a registry of its own. Memory, CPU, event-loop delay and garbage collection come with it. With `gather`, the
 * route shows what all processes behind the port measured: sums, but for what prom-client takes the mean, or the first, of.
 */
export function createMetrics(gather?: GatherMetrics): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const calls = new Histogram({
    name: "muster_rpc_duration_seconds",
    help: "Time from the first interceptor to the end of a call, streams included",
    labelNames: ["service", "method", "code"],
    buckets: SECONDS,
    registers: [registry],
  });
  // There are but so many RPCs and codes. Their names are found without a new one being put together for each call.
  type Series = ReturnType<typeof calls.labels>;
  const seriesOf = new Map<string, Map<string, Map<string, Series>>>();
  return {
    observeCall(service, method, code, seconds) {
      const byCode = entryOf(entryOf(seriesOf, service, newMap<Map<string, Series>>), method, newMap<Series>);
      entryOf(byCode, code, () => calls.labels(service, method, code)).observe(seconds);
    },
    gauge(name, help, read) {
      new Gauge({
        name: `muster_${name}`,
        help,
        registers: [registry],
        collect() {
          this.set(read());
        },
      });
    },
    gaugeBy(label, name, help, read) {
      new Gauge({
        name: `muster_${name}`,
        help,
        aggregator: "max",
        labelNames: [label],
        registers: [registry],
        collect() {
          this.reset();
          for (const [value, number] of read()) this.labels(value).set(number);
        },
      });
    },
    counter(name, help) {
      const counter = new Counter({ name: `muster_${name}_total`, help, registers: [registry] });
      return () => counter.inc();
    },
    counterBy(label, name, help) {
      const counter = new Counter({ name: `muster_${name}_total`, help, labelNames: [label], registers: [registry] });
      return (value) => counter.labels(value).inc();
    },
    snapshot: () => registry.getMetricsAsJSON(),
    route: {
      method: "GET",
      path: /^\/metrics$/,
      handle: async () => ({
        status: 200,
        headers: { "content-type": registry.contentType },
        body: await (gather ? together(await gather(await registry.getMetricsAsJSON())) : registry).metrics(),
      }),
    },
    [Symbol.dispose]: () => registry.clear(),
  };
}

const newMap = <V>(): Map<string, V> => new Map();

function entryOf<V>(map: Map<string, V>, key: string, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

const together = (snapshots: readonly MetricsSnapshot[]) => AggregatorRegistry.aggregate([...snapshots]);
