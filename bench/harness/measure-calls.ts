import { isDeepStrictEqual } from "node:util";
import type { Bench } from "./bench.ts";
import type { Child } from "./child.ts";
import type { FloorOptions } from "./floor-process.ts";
import type { LoadTarget } from "./load-process.ts";
import { median } from "./median.ts";
import type { CallCase, CallRow, Figure, Side } from "./row.ts";
import type { LoadResult } from "./run-load.ts";

/** The CPU a server has used until its code counts as compiled, in microseconds, and how long to wait for that at most. */
const WARM_UP = { cpu: 1_200_000, mostMs: 3_000 };
/** Of a case that was measured at another concurrency before. */
const SETTLE = { cpu: 0, mostMs: 0 };
const SLICE_MS = 400;
/** The concurrency that latency is judged at. */
const JUDGED_CONCURRENCY = 32;

/** A slice, and the CPU it took the server. */
interface Round extends LoadResult {
  /** Microseconds. */
  readonly cpuPerCall: number;
}

interface Sides {
  readonly load: Child;
  readonly subject: { readonly process: Child; readonly port: number };
  readonly floor: { readonly process: Child; readonly ports: readonly (number | undefined)[] };
}

/** Measures the cases of a row: floor and subject by turns, on the same database, called from a third process. */
export async function measureCalls(bench: Bench, name: string, row: CallRow, rowUrl: string): Promise<Figure[]> {
  const muster = await bench.startMuster(undefined, row.muster);
  const world = await row.setUp(await bench.makeTenant(muster));
  const floor = bench.start("floor-process.ts");
  const options: FloorOptions = { rowUrl, world, database: muster.options.database };
  const ports = await floor.ask<(number | undefined)[]>("start", options);
  const sides: Sides = { load: bench.start("load-process.ts"), subject: muster, floor: { process: floor, ports } };
  const figures: Figure[] = [];
  for (const [caseIndex, it] of row.cases.entries()) {
    for (const [index, concurrency] of it.concurrency.entries()) {
      const warmUp = index === 0 ? WARM_UP : SETTLE;
      const title = `${name}${it.name && ` ${it.name}`} @${concurrency}`;
      const rounds = () => alternate(sides, { rowUrl, world, caseIndex, concurrency, warmUp }, bench.rounds);
      const measured = await bench.profiled(title.replaceAll(/\W+/g, "-"), muster.process, rounds);
      figures.push(...figuresOf(title, it, concurrency, measured));
    }
  }
  return figures;
}

type Aim = Omit<LoadTarget, "side" | "port"> & { readonly concurrency: number; readonly warmUp: typeof WARM_UP };

async function alternate(sides: Sides, aim: Aim, count: number): Promise<Record<Side, Round[]>> {
  const rounds: Record<Side, Round[]> = { floor: [], subject: [] };
  for (const side of ["floor", "subject"] as const) {
    await sides.load.ask("aim", { ...aim, side, port: serverOf(sides, side, aim.caseIndex).port });
  }
  await requireSameAnswer(sides.load);
  for (const side of ["floor", "subject"] as const) await warmUp(sides, side, aim);
  for (let round = 0; round < count; round++) {
    rounds.floor.push(await runOnce(sides, "floor", aim, SLICE_MS));
    rounds.subject.push(await runOnce(sides, "subject", aim, SLICE_MS));
  }
  return rounds;
}

function serverOf({ subject, floor }: Sides, side: Side, caseIndex: number): { process: Child; port: number } {
  const port = floor.ports[caseIndex];
  return side === "subject" || port === undefined ? subject : { process: floor.process, port };
}

/** A floor that does something else would be none. */
async function requireSameAnswer(load: Child): Promise<void> {
  const subject = await load.ask("probe", "subject");
  const floor = await load.ask("probe", "floor");
  if (isDeepStrictEqual(subject, floor)) return;
  throw new Error(`the floor answers otherwise: ${JSON.stringify(floor)} instead of ${JSON.stringify(subject)}`);
}

async function warmUp(sides: Sides, side: Side, aim: Aim): Promise<void> {
  let [cpu, ms] = [0, 0];
  do {
    const { cpuPerCall, calls, seconds } = await runOnce(sides, side, aim, 200);
    cpu += cpuPerCall * calls;
    ms += seconds * 1_000;
  } while (cpu < aim.warmUp.cpu && ms < aim.warmUp.mostMs);
}

async function runOnce(sides: Sides, side: Side, aim: Aim, durationMs: number): Promise<Round> {
  const { process } = serverOf(sides, side, aim.caseIndex);
  const before = await process.ask<number>("cpu");
  const slice = { side, caseIndex: aim.caseIndex, concurrency: aim.concurrency, durationMs };
  const result = await sides.load.ask<LoadResult>("run", slice);
  const cpu = (await process.ask<number>("cpu")) - before;
  if (result.failures > 0)
    throw new Error(`${result.failures} calls of the ${side} were not answered OK: ${result.firstFailure}`);
  return { ...result, cpuPerCall: cpu / result.calls };
}

type Rounds = Record<Side, Round[]>;

function figuresOf(title: string, it: CallCase<unknown>, concurrency: number, rounds: Rounds): Figure[] {
  const of = (side: Side, figure: (round: Round) => number) => median(rounds[side].map(figure));
  const both = (figure: (round: Round) => number) => ({ subject: of("subject", figure), floor: of("floor", figure) });
  const rate = both(({ calls, seconds }) => calls / seconds);
  const p50 = both((round) => round.p50);
  const p99 = both((round) => round.p99);
  const beside = `${perSecond(rate)} req/s, p50 ${milliseconds(p50)}, p99 ${milliseconds(p99)}`;
  const cpu = both((round) => round.cpuPerCall);
  const figures: Figure[] = [{ name: title, unit: "µs CPU", ...cpu, ...(it.target && { target: it.target }), beside }];
  if (it.medianTarget) figures.push({ name: `${title}, p50`, unit: "ms", ...p50, target: it.medianTarget });
  if (it.latencyTarget && concurrency === JUDGED_CONCURRENCY)
    figures.push({ name: `${title}, p99`, unit: "ms", ...p99, target: it.latencyTarget });
  if (it.throughputTarget)
    figures.push({ name: `${title}, rate`, unit: "req/s", ...rate, target: it.throughputTarget });
  return figures;
}

type Both = Readonly<Record<Side, number>>;
const perSecond = ({ subject, floor }: Both) => `${Math.round(subject)} (floor ${Math.round(floor)})`;
const milliseconds = ({ subject, floor }: Both) => `${subject.toFixed(2)} (${floor.toFixed(2)}) ms`;
