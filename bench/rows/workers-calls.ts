import type { Bench, Muster } from "../harness/bench.ts";
import { median } from "../harness/median.ts";
import type { Figure, OwnRow } from "../harness/row.ts";
import type { LoadResult } from "../harness/run-load.ts";
import { row as getUser } from "./get-user.ts";

const ROW_URL = new URL("./get-user.ts", import.meta.url).href;
/** By external id. */
const CASE = { side: "subject", caseIndex: 1 } as const;
const CONCURRENCY = 256;
const SLICE_MS = 1_000;

interface Throughput {
  readonly perSecond: number;
  /** Microseconds of all the processes together. */
  readonly cpuPerCall: number;
}

/** Calls so many workers as fast as they answer. */
async function throughput(bench: Bench, { options }: Muster, world: unknown, count: number): Promise<Throughput> {
  const workers = bench.start("workers-process.ts");
  const url = await workers.ask<string>("start", { subject: options, count });
  const load = bench.start("load-process.ts");
  const port = Number(new URL(url).port);
  await load.ask("aim", { ...CASE, rowUrl: ROW_URL, world, port, concurrency: CONCURRENCY });
  const rounds: Throughput[] = [];
  // The first rounds warm up.
  for (let round = -3; round < bench.rounds; round++) {
    const before = await workers.ask<number>("cpu");
    const slice = { ...CASE, concurrency: CONCURRENCY, durationMs: SLICE_MS };
    const { calls, seconds, failures, firstFailure } = await load.ask<LoadResult>("run", slice);
    if (failures > 0) throw new Error(`${failures} calls were not answered OK: ${firstFailure}`);
    const used = (await workers.ask<number>("cpu")) - before;
    if (round >= 0) rounds.push({ perSecond: calls / seconds, cpuPerCall: used / calls });
  }
  await load[Symbol.asyncDispose]();
  await workers[Symbol.asyncDispose]();
  return {
    perSecond: median(rounds.map((it) => it.perSecond)),
    cpuPerCall: median(rounds.map((it) => it.cpuPerCall)),
  };
}

export const row: OwnRow = {
  about: `GetUser by external_id at ${CONCURRENCY} of MUSTER_WORKERS=2, on as many cores as load and database leave; takes no profile`,
  floor: "one worker",
  async measure(bench) {
    // It makes the database that the workers serve.
    const muster = await bench.startMuster();
    const world = await getUser.setUp(await bench.makeTenant(muster));
    await muster.process[Symbol.asyncDispose]();
    const one = await throughput(bench, muster, world, 1);
    const two = await throughput(bench, muster, world, 2);
    const figures: Figure[] = [
      {
        name: "get-user by two workers, rate",
        unit: "req/s",
        subject: two.perSecond,
        floor: one.perSecond,
        target: { ratioAtLeast: 1.8 },
      },
      { name: "get-user by two workers", unit: "µs CPU", subject: two.cpuPerCall, floor: one.cpuPerCall },
    ];
    return figures;
  },
};
