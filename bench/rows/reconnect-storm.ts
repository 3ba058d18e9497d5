import { setTimeout as sleep } from "node:timers/promises";
import { median } from "../harness/median.ts";
import type { OwnRow } from "../harness/row.ts";
import type { Received } from "../harness/watcher-process.ts";

const STREAMS = 5_000;
const WATCHED = 1_000;

export const row: OwnRow = {
  about: "5,000 watchers of one user each, on 50 connections, that lose them and come back at once with their tokens",
  floor: "no floor",
  async measure(bench) {
    const muster = await bench.startMuster();
    const { accessKey, makeUsers } = await bench.makeTenant(muster);
    const ids = (await makeUsers(WATCHED)).map(({ id }) => id);
    const lists = Array.from({ length: STREAMS }, (_, i) => [ids[i % WATCHED] ?? ""]);
    const watcher = bench.start("watcher-process.ts");
    const to = { port: muster.port, accessKey };
    await watcher.ask("watch", { ...to, lists, minIntervalMs: 0 });
    const rounds: { ms: number; cpu: number; told: number }[] = [];
    await bench.profiled("reconnect-storm", muster.process, async () => {
      while (rounds.length < bench.rounds) {
        await watcher.ask("take");
        const before = await muster.process.ask<number>("cpu");
        const ms = await watcher.ask<number>("reopen", to);
        const cpu = (await muster.process.ask<number>("cpu")) - before;
        rounds.push({ ms, cpu: cpu / STREAMS, told: (await watcher.ask<Received>("take")).presences });
        await sleep(500);
      }
    });
    const beside = `${median(rounds.map(({ told }) => told))} presences were told again`;
    return [
      { name: "reconnect storm, until all are live", unit: "ms", subject: median(rounds.map(({ ms }) => ms)), beside },
      { name: "reconnect storm, each stream", unit: "µs CPU", subject: median(rounds.map(({ cpu }) => cpu)) },
    ];
  },
};
