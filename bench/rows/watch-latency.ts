import { measureLatency } from "../harness/measure-latency.ts";
import type { OwnRow } from "../harness/row.ts";

export const row: OwnRow = {
  about: "From the time a set is due to its update at the one that watches, 10 watchers of 100 users each",
  floor: "no floor",
  async measure(bench) {
    const muster = await bench.startMuster();
    const targets = { p50: { atMost: 5 }, p99: { atMost: 50 } };
    const rates = [1_000, 5_000, 20_000];
    const both = { watched: muster, setAt: muster, rates, ...targets };
    return [
      ...(await measureLatency(bench, { name: "set → watcher", ...both })),
      ...(await measureLatency(bench, { name: "set → watcher, by BatchSetPresence of 100", perCall: 100, ...both })),
    ];
  },
};
