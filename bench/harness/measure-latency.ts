import { setTimeout as sleep } from "node:timers/promises";
import type { Bench, Muster } from "./bench.ts";
import type { Child } from "./child.ts";
import { median } from "./median.ts";
import type { Figure, Target } from "./row.ts";
import type { Received } from "./watcher-process.ts";

const WATCHERS = 10;
const USERS_EACH = 100;
const SLICE_MS = 1_000;

export interface LatencyCase {
  readonly name: string;
  /** The Muster whose watchers are told. */
  readonly watched: Muster;
  /** The one that presences are set at. */
  readonly setAt: Muster;
  /** Sets in a second. */
  readonly rates: readonly number[];
  /** Sets in one call; default: one, by SetPresence. */
  readonly perCall?: number;
  readonly p50: Target;
  readonly p99: Target;
}

interface Round {
  readonly p50: number;
  readonly p99: number;
  readonly setsPerSecond: number;
  readonly shownShare: number;
}

/** From the time a set is due to its update at the one that watches: 10 watchers of 100 users each. */
export async function measureLatency(bench: Bench, it: LatencyCase): Promise<Figure[]> {
  const { accessKey, makeUsers } = await bench.makeTenant(it.watched);
  const userIds = (await makeUsers(WATCHERS * USERS_EACH)).map(({ id }) => id);
  const watcher = bench.start("watcher-process.ts");
  const lists = Array.from({ length: WATCHERS }, (_, i) => userIds.slice(i * USERS_EACH, (i + 1) * USERS_EACH));
  await watcher.ask("watch", { port: it.watched.port, accessKey, lists, minIntervalMs: 0 });
  const figures: Figure[] = [];
  for (const perSecond of it.rates) {
    const { perCall } = it;
    const set = { accessKey, userIds, perSecond, perCall, port: it.setAt.port, durationMs: SLICE_MS };
    await runOnce(watcher, set);
    const rounds: Round[] = [];
    const name = `${it.name.replaceAll(/\W+/g, "-")}-${perSecond}`;
    await bench.profiled(name, it.watched.process, async () => {
      while (rounds.length < bench.rounds) rounds.push(await runOnce(watcher, set));
    });
    figures.push(...figuresOf(it, perSecond, rounds));
  }
  return figures;
}

async function runOnce(watcher: Child, set: object): Promise<Round> {
  await watcher.ask("take");
  const start = performance.now();
  const sets = await watcher.ask<number>("set", set);
  const seconds = (performance.now() - start) / 1_000;
  await sleep(300);
  const { latencies, presences } = await watcher.ask<Received>("take");
  const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), setsPerSecond: sets / seconds, shownShare: presences / sets };
}

function figuresOf({ name, p50, p99 }: LatencyCase, perSecond: number, rounds: readonly Round[]): Figure[] {
  const of = (figure: (round: Round) => number) => median(rounds.map(figure));
  const rate = of((it) => it.setsPerSecond);
  const shown = Math.round(of((it) => it.shownShare) * 100);
  const full = `${name} at ${perSecond}/s`;
  const beside = `${Math.round(rate)} sets/s were answered; ${shown} % of them shown, the others overtaken by newer ones`;
  return [
    { name: `${full}, p50`, unit: "ms", subject: of((it) => it.p50), target: p50, beside },
    { name: `${full}, p99`, unit: "ms", subject: of((it) => it.p99), target: p99 },
  ];
}
