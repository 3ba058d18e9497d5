import { measureLatency } from "../harness/measure-latency.ts";
import type { OwnRow } from "../harness/row.ts";

export const row: OwnRow = {
  about:
    "From set to watcher as in watch-latency, with MUSTER_WORKERS=2: sets come to both processes; takes no profile",
  floor: "no floor",
  async measure(bench) {
    // It makes the database that the workers serve.
    const { options, process: first } = await bench.startMuster();
    await first[Symbol.asyncDispose]();
    const process = bench.start("workers-process.ts");
    const url = await process.ask<string>("start", { subject: options, count: 2 });
    const workers = { process, url, port: Number(new URL(url).port), options };
    const targets = { p50: { atMost: 50 }, p99: { atMost: 250 } };
    const unprofiled = { ...bench, profiled: async <T>(_: string, __: unknown, work: () => Promise<T>) => work() };
    const it = {
      name: "set → watcher, two workers",
      watched: workers,
      setAt: workers,
      rates: [1_000, 5_000],
      ...targets,
    };
    return await measureLatency(unprofiled, it);
  },
};
