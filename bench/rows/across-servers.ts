import { measureLatency } from "../harness/measure-latency.ts";
import type { OwnRow } from "../harness/row.ts";

export const row: OwnRow = {
  about: "The same where the set goes to another server on the same database, of two and of three",
  floor: "no floor",
  async measure(bench) {
    const watched = await bench.startMuster();
    const setAt = await bench.startMuster(watched);
    const targets = { p50: { atMost: 50 }, p99: { atMost: 250 } };
    const two = { name: "set → watcher of another server", watched, setAt, rates: [100, 1_000], ...targets };
    const figures = await measureLatency(bench, two);
    await bench.startMuster(watched);
    const three = { ...two, name: "set → watcher, three servers", rates: [100] };
    return [...figures, ...(await measureLatency(bench, three))];
  },
};
