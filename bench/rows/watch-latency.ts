import { setTimeout as sleep } from "node:timers/promises";
import type { Bench, Muster } from "../harness/bench.ts";
import type { Child } from "../harness/child.ts";
import { median } from "../harness/median.ts";
import type { Figure, OwnRow } from "../harness/row.ts";
import type { Received } from "../harness/watcher-process.ts";

const WATCHERS = 10;
const USERS_EACH = 100;
const SLICE_MS = 1_000;
const RATES = [1_000, 5_000];

interface Round {
  readonly p50: number;
  readonly p99: number;
  readonly setsPerSecond: number;
  readonly shownShare: number;
}

async function runOnce(watcher: Child, muster: Muster, set: object): Promise<Round> {
  await watcher.ask("take");
  const start = performance.now();
  const sets = await watcher.ask<number>("set", { ...set, port: muster.port, durationMs: SLICE_MS });
  const seconds = (performance.now() - start) / 1_000;
  await sleep(300);
  const { latencies, presences } = await watcher.ask<Received>("take");
  const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), setsPerSecond: sets / seconds, shownShare: presences / sets };
}

function figuresOf(perSecond: number, rounds: readonly Round[]): Figure[] {
  const of = (figure: (round: Round) => number) => median(rounds.map(figure));
  const rate = of((it) => it.setsPerSecond);
  const shown = Math.round(of((it) => it.shownShare) * 100);
  const name = `set → watcher at ${perSecond}/s`;
  const beside = `${Math.round(rate)} sets/s were answered; ${shown} % of them shown, the others overtaken by newer ones`;
  return [
    { name: `${name}, p50`, unit: "ms", subject: of((it) => it.p50), target: { atMost: 5 }, beside },
    { name: `${name}, p99`, unit: "ms", subject: of((it) => it.p99), target: { atMost: 50 } },
  ];
}

export const row: OwnRow = {
  about: "From the time a set is due to its update at the one that watches, 10 watchers of 100 users each",
  floor: "no floor",
  async measure(bench: Bench) {
    const muster = await bench.startMuster();
    const { accessKey, makeUsers } = await bench.makeTenant(muster);
    const userIds = (await makeUsers(WATCHERS * USERS_EACH)).map(({ id }) => id);
    const watcher = bench.start("watcher-process.ts");
    const lists = Array.from({ length: WATCHERS }, (_, i) => userIds.slice(i * USERS_EACH, (i + 1) * USERS_EACH));
    await watcher.ask("watch", { port: muster.port, accessKey, lists, minIntervalMs: 0 });
    const figures: Figure[] = [];
    for (const perSecond of RATES) {
      const set = { accessKey, userIds, perSecond };
      await runOnce(watcher, muster, set);
      const rounds: Round[] = [];
      await bench.profiled(`watch-latency-${perSecond}`, muster.process, async () => {
        while (rounds.length < bench.rounds) rounds.push(await runOnce(watcher, muster, set));
      });
      figures.push(...figuresOf(perSecond, rounds));
    }
    return figures;
  },
};
