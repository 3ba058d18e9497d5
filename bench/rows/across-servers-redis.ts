import { measureLatency } from "../harness/measure-latency.ts";
import { startRedis } from "../harness/redis.ts";
import type { OwnRow } from "../harness/row.ts";

export const row: OwnRow = {
  about: "The same with presences in Redis; needs a redis-server",
  floor: "no floor",
  async measure(bench) {
    await using redis = await startRedis(bench.folder);
    const watched = await bench.startMuster(undefined, { redis: redis.target });
    const setAt = await bench.startMuster(watched);
    const targets = { p50: { atMost: 50 }, p99: { atMost: 250 } };
    const name = "set → watcher of another server, Redis";
    return await measureLatency(bench, { name, watched, setAt, rates: [100, 1_000], ...targets });
  },
};
