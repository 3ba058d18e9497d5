import { performance } from "node:perf_hooks";
import type { Connections } from "./connections.ts";
import type { Call } from "./row.ts";

/** How hard and how long to call. */
export interface Slice {
  readonly concurrency: number;
  readonly durationMs: number;
}

/** What came of a slice; times in milliseconds. */
export interface LoadResult {
  /** Calls that were answered OK, with an answer that reads well. */
  readonly calls: number;
  readonly failures: number;
  readonly firstFailure: string | undefined;
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
}

/** Each answer is OK by its status; one in so many is read as well, and the first. */
const READ_EVERY = 64;

/** Keeps `concurrency` calls under way until the time is over, and waits for the last of them. */
export async function runLoad(
  connections: Connections,
  call: Call,
  { concurrency, durationMs }: Slice,
  next: () => number,
): Promise<LoadResult> {
  const latencies: number[] = [];
  let failures = 0;
  let firstFailure: string | undefined;
  const start = performance.now();
  const end = start + durationMs;
  const caller = async (index: number) => {
    for (let began = performance.now(); began < end && failures < 100; ) {
      const n = next();
      try {
        const answer = await connections.send(index, call, call.body(n));
        if (n % READ_EVERY === 0) call.read(answer);
        const now = performance.now();
        latencies.push(now - began);
        began = now;
      } catch (error) {
        failures++;
        firstFailure ??= String(error);
        began = performance.now();
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, (_, index) => caller(index)));
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  const seconds = (performance.now() - start) / 1_000;
  return { calls: latencies.length, failures, firstFailure, seconds, p50: at(0.5), p99: at(0.99) };
}
