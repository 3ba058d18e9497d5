import { setTimeout as sleep } from "node:timers/promises";
import { EventService } from "../../src/gen/muster/v1/event_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import type { Bench } from "../harness/bench.ts";
import { median } from "../harness/median.ts";
import type { Figure, OwnRow } from "../harness/row.ts";
import { makeTenant, type Tenant } from "../harness/tenant.ts";

interface Sides {
  readonly name: string;
  readonly writtenAt: Tenant;
  readonly watchedAt: Tenant;
}

const SLICE_MS = 2_000;

interface Round {
  readonly p50: number;
  readonly p99: number;
  readonly rate: number;
}

async function runOnce({ writtenAt, watchedAt }: Sides, perSecond: number, round: string): Promise<Round> {
  const answered = new Map<string, number>();
  const told = new Map<string, number>();
  const left = new AbortController();
  const ready = Promise.withResolvers<void>();
  const stream = watchedAt.client(EventService).watchEvents({ types: ["user.created"] }, { signal: left.signal });
  const watching = (async () => {
    for await (const { news } of stream) {
      if (news.case === "snapshotComplete") ready.resolve();
      if (news.case === "event") told.set(news.value.userId, performance.now());
    }
  })().catch(() => {});
  await ready.promise;
  const users = writtenAt.client(UserService);
  const start = performance.now();
  const answers: Promise<void>[] = [];
  for (let elapsed = 0; elapsed < SLICE_MS; elapsed = performance.now() - start) {
    for (let n = answers.length; n < (elapsed / 1_000) * perSecond; n++)
      answers.push(
        users.upsertUser({ externalId: `${round}-${n}` }).then(({ user }) => {
          answered.set(user?.id ?? "", performance.now());
        }),
      );
    await sleep(1);
  }
  await Promise.all(answers);
  const rate = answers.length / ((performance.now() - start) / 1_000);
  for (let waited = 0; told.size < answered.size; waited += 10) {
    if (waited > 30_000) throw new Error(`${told.size} of ${answered.size} events were told`);
    await sleep(10);
  }
  left.abort();
  await watching;
  const lags = Array.from(answered, ([id, at]) => Math.max(0, (told.get(id) ?? Number.NaN) - at)).toSorted(
    (a, b) => a - b,
  );
  const at = (share: number) => lags[Math.floor(lags.length * share)] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), rate };
}

async function measureLag(bench: Bench, sides: Sides, perSecond: number): Promise<Figure[]> {
  const rounds: Round[] = [];
  for (let round = 0; round <= bench.rounds; round++) {
    const one = await runOnce(sides, perSecond, `${sides.name.replaceAll(/\W+/g, "-")}-${perSecond}-${round}`);
    // The first round warms up.
    if (round > 0) rounds.push(one);
  }
  const of = (figure: (round: Round) => number) => median(rounds.map(figure));
  const name = `${sides.name} at ${perSecond}/s`;
  const beside = `${Math.round(of((it) => it.rate))} writes/s were answered`;
  return [
    { name: `${name}, p50`, unit: "ms", subject: of((it) => it.p50), target: { atMost: 100 }, beside },
    { name: `${name}, p99`, unit: "ms", subject: of((it) => it.p99) },
  ];
}

export const row: OwnRow = {
  about: "From the answer of UpsertUser to its event at one who watches, on the same server and on another one",
  floor: "no floor",
  async measure(bench) {
    const muster = await bench.startMuster();
    const other = await bench.startMuster(muster);
    const here = await bench.makeTenant(muster);
    using there = await makeTenant(other.url, other.options, 0, here);
    const figures: Figure[] = [];
    for (const perSecond of [100, 1_000]) {
      figures.push(
        ...(await measureLag(bench, { name: "write → event", writtenAt: here, watchedAt: here }, perSecond)),
      );
      const across = { name: "write → event of another server", writtenAt: here, watchedAt: there };
      figures.push(...(await measureLag(bench, across, perSecond)));
    }
    return figures;
  },
};
