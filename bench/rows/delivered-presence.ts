import type { Bench } from "../harness/bench.ts";
import type { Child } from "../harness/child.ts";
import { median } from "../harness/median.ts";
import type { Figure, OwnRow, Target } from "../harness/row.ts";
import type { Received } from "../harness/watcher-process.ts";

const WATCHERS = 100;
const FLOOR_MS = 500;
/** The CPU that either side has used, in microseconds, when its code counts as compiled, as in rows of calls; and the most turns until then. */
const WARM_UP = { cpu: 1_200_000, mostTurns: 6 };

/** A delivery is one presence in one watcher's update. */
interface Case {
  readonly name: string;
  /** Users set together. */
  readonly users: number;
  /** How often they are, a second. */
  readonly perSecond: number;
  readonly durationMs: number;
  readonly minIntervalMs: number;
  readonly target: Target;
}

const CASES: readonly Case[] = [
  {
    ...{ name: "1 per message", users: 1, perSecond: 100, durationMs: 1_000, minIntervalMs: 0 },
    target: { ratioAtMost: 3 },
  },
  {
    ...{ name: "50 per message", users: 50, perSecond: 5, durationMs: 1_600, minIntervalMs: 200 },
    target: { ratioAtMost: 2 },
  },
];
const DELIVERY_TARGET: Target = { atMost: 12 };

interface Round {
  /** Microseconds of the server's CPU. */
  readonly used: number;
  /** The same for one presence of one watcher. */
  readonly cpu: number;
  readonly perMessage: number;
}

async function runOnce(server: Child, watcher: Child, deliver: () => Promise<unknown>): Promise<Round> {
  await watcher.ask("take");
  const before = await server.ask<number>("cpu");
  await deliver();
  // The last ones may wait for the least time between two updates.
  await new Promise((resolve) => setTimeout(resolve, 300));
  const used = (await server.ask<number>("cpu")) - before;
  const { presences, updates } = await watcher.ask<Received>("take");
  if (presences === 0) throw new Error("nothing was delivered");
  return { used, cpu: used / presences, perMessage: presences / updates };
}

async function warmUp(turn: () => Promise<Round>): Promise<void> {
  let cpu = 0;
  for (let turns = 0; turns < WARM_UP.mostTurns && cpu < WARM_UP.cpu; turns++) cpu += (await turn()).used;
}

async function measureCase(bench: Bench, it: Case): Promise<Figure[]> {
  const muster = await bench.startMuster();
  // Sets go to another Muster on the same database, so that they cost the measured one nothing.
  const setter = await bench.startMuster(muster);
  const { accessKey, makeUsers } = await bench.makeTenant(muster);
  const userIds = (await makeUsers(it.users)).map(({ id }) => id);
  const floor = bench.start("floor-process.ts");
  const floorPort = await floor.ask<number>("startStreams");
  const [watcher, floorWatcher] = [bench.start("watcher-process.ts"), bench.start("watcher-process.ts")];
  const lists = Array.from({ length: WATCHERS }, () => userIds);
  await watcher.ask("watch", { port: muster.port, accessKey, lists, minIntervalMs: it.minIntervalMs });
  await floorWatcher.ask("watch", { port: floorPort, accessKey, lists: lists.map(() => []), minIntervalMs: 0 });
  const perSecond = it.perSecond * it.users;
  const set = () => watcher.ask("set", { port: setter.port, accessKey, userIds, perSecond, durationMs: it.durationMs });
  const subject = () => runOnce(muster.process, watcher, set);
  await warmUp(subject);
  const { largestUpdate } = await watcher.ask<Received>("take");
  const times = (FLOOR_MS / 1_000) * it.perSecond;
  const write = () => floor.ask("writeToAll", { bytes: largestUpdate, times, intervalMs: 1_000 / it.perSecond });
  const rounds: { floor: Round[]; subject: Round[] } = { floor: [], subject: [] };
  const raw = () => runOnce(floor, floorWatcher, write);
  await warmUp(raw);
  await bench.profiled(`delivered-presence-${it.users}`, muster.process, async () => {
    while (rounds.subject.length < bench.rounds) {
      rounds.floor.push(await raw());
      rounds.subject.push(await subject());
    }
  });
  return figuresOf(it, rounds.floor, rounds.subject);
}

function figuresOf(it: Case, floor: readonly Round[], subject: readonly Round[]): Figure[] {
  const cpu = { subject: median(subject.map((round) => round.cpu)), floor: median(floor.map((round) => round.cpu)) };
  const perMessage = median(subject.map((round) => round.perMessage)).toFixed(1);
  const beside = `${perMessage} presences a message (floor ${median(floor.map((round) => round.perMessage)).toFixed(1)})`;
  const name = `delivered presence, ${it.name}`;
  return [
    { name, unit: "µs CPU", ...cpu, target: it.target, beside },
    { name: `${name}, by itself`, unit: "µs CPU", subject: cpu.subject, target: DELIVERY_TARGET },
    {
      name: `${name}, in a core-second`,
      unit: "presences",
      subject: 1_000_000 / cpu.subject,
      floor: 1_000_000 / cpu.floor,
    },
  ];
}

export const row: OwnRow = {
  about: "A presence delivered to one of 100 watchers",
  floor: "a raw http2 write of the same bytes",
  async measure(bench) {
    const figures: Figure[] = [];
    for (const it of CASES) figures.push(...(await measureCase(bench, it)));
    return figures;
  },
};
