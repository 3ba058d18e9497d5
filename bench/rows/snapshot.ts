import type { Bench, Muster } from "../harness/bench.ts";
import { median } from "../harness/median.ts";
import type { Figure, OwnRow } from "../harness/row.ts";

const WATCHED = 10_000;

interface Round {
  readonly ms: number;
  /** Milliseconds of the server's CPU. */
  readonly cpu: number;
}

/** Opens a watch, and waits until its snapshot is complete. */
async function snapshot(bench: Bench, { process, port }: Muster, accessKey: string, ids: string[]): Promise<Round> {
  const watcher = bench.start("watcher-process.ts");
  const few = { port, accessKey, lists: [ids.slice(0, 1)], minIntervalMs: 0 };
  await watcher.ask("watch", few);
  const before = await process.ask<number>("cpu");
  const start = performance.now();
  await watcher.ask("watch", { ...few, lists: [ids] });
  const ms = performance.now() - start;
  const cpu = ((await process.ask<number>("cpu")) - before) / 1_000;
  await watcher[Symbol.asyncDispose]();
  return { ms, cpu };
}

function figuresOf(name: string, rounds: readonly Round[]): Figure[] {
  const of = (figure: (round: Round) => number) => median(rounds.map(figure));
  return [
    { name: `${name}, until complete`, unit: "ms", subject: of(({ ms }) => ms) },
    { name: `${name}, server`, unit: "ms CPU", subject: of(({ cpu }) => cpu) },
  ];
}

export const row: OwnRow = {
  about: "The snapshot of a watch of 10,000 users, read from the store, and where the server watches them already",
  floor: "no floor",
  async measure(bench) {
    const muster = await bench.startMuster();
    const { accessKey, makeUsers } = await bench.makeTenant(muster);
    const ids = (await makeUsers(WATCHED)).map(({ id }) => id);
    const rounds: { cold: Round[]; warm: Round[] } = { cold: [], warm: [] };
    while (rounds.cold.length < bench.rounds) {
      // What a server watched a moment ago it still knows: each round has a new one.
      const server = await bench.startMuster(muster);
      rounds.cold.push(await snapshot(bench, server, accessKey, ids));
      rounds.warm.push(await snapshot(bench, server, accessKey, ids));
      await server.process[Symbol.asyncDispose]();
    }
    return [
      ...figuresOf("snapshot of 10,000 from the store", rounds.cold),
      ...figuresOf("snapshot of 10,000 at hand", rounds.warm),
    ];
  },
};
