import { setTimeout as sleep } from "node:timers/promises";
import { createEgress } from "../../src/egress/create-egress.ts";
import { EventService } from "../../src/gen/muster/v1/event_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import type { Bench, Muster } from "../harness/bench.ts";
import type { Child } from "../harness/child.ts";
import { median } from "../harness/median.ts";
import type { Figure, OwnRow } from "../harness/row.ts";
import type { Tenant } from "../harness/tenant.ts";

/** Events that are there when the webhook begins to be sent them, and requests under way at once. */
const BACKLOG = 4_000;
const CONCURRENCY = 64;
const SLICE_MS = 2_000;

interface Side {
  /** Requests in a second. */
  readonly rate: number;
  /** Microseconds of the sender's CPU for each. */
  readonly cpu: number;
}

interface World {
  readonly muster: Muster;
  readonly tenant: Tenant;
  readonly receiver: Child;
  readonly url: string;
}

/** The receiver has got as many as there are; gives when each came. */
async function whenArrived(receiver: Child, count: number): Promise<ReadonlyMap<string, number>> {
  for (let waited = 0; (await receiver.ask<number>("count")) < count; waited += 20) {
    if (waited > 60_000) throw new Error(`${await receiver.ask<number>("count")} of ${count} events were delivered`);
    await sleep(20);
  }
  return receiver.ask("take");
}

/** A webhook that is enabled begins at that moment, so the backlog is what RedeliverEvent brings. */
async function deliverBacklog({ muster, tenant, receiver }: World, webhookId: string): Promise<Side> {
  const events = tenant.client(EventService);
  const range = { fromTime: { seconds: 1n }, types: ["user.created"] };
  const before = await muster.process.ask<number>("cpu");
  for (let pageToken = ""; ; ) {
    const page = await events.redeliverEvent({ webhookId, which: { case: "range", value: range }, pageToken });
    pageToken = page.nextPageToken;
    if (pageToken === "") break;
  }
  const times = Array.from((await whenArrived(receiver, BACKLOG)).values());
  const cpu = (await muster.process.ask<number>("cpu")) - before;
  return { rate: ((BACKLOG - 1) / (Math.max(...times) - Math.min(...times))) * 1_000, cpu: cpu / BACKLOG };
}

/** The same requests by the same client, and nothing else: no order, no state, no signature. */
async function postBare({ receiver, url }: World): Promise<Side> {
  using egress = createEgress({ allow: [new URL(url).host] });
  const body = JSON.stringify({ type: "user.created", data: { user: "x".repeat(500) } });
  const before = process.cpuUsage();
  const start = performance.now();
  let sent = 0;
  const post = async () => {
    while (sent < BACKLOG) {
      sent++;
      const headers = { "content-type": "application/json", "webhook-id": String(sent) };
      await egress.request(url, { method: "POST", headers, body, ignoreBody: true });
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, post));
  const seconds = (performance.now() - start) / 1_000;
  const { user, system } = process.cpuUsage(before);
  await whenArrived(receiver, BACKLOG);
  return { rate: BACKLOG / seconds, cpu: (user + system) / BACKLOG };
}

async function measureRate(bench: Bench, world: World, webhookId: string): Promise<Figure[]> {
  const [subject, floor]: [Side[], Side[]] = [[], []];
  for (let round = 0; round <= bench.rounds; round++) {
    const sides = [await postBare(world), await deliverBacklog(world, webhookId)] as const;
    // The first round warms up.
    if (round === 0) continue;
    floor.push(sides[0]);
    subject.push(sides[1]);
  }
  const of = (figure: keyof Side) => ({
    subject: median(subject.map((it) => it[figure])),
    floor: median(floor.map((it) => it[figure])),
  });
  return [
    { name: "webhooks, a backlog", unit: "deliveries/s", ...of("rate") },
    { name: "webhooks, a delivery", unit: "µs CPU", ...of("cpu") },
  ];
}

/** From the answer of each UpsertUser to its event at the receiver, in milliseconds, in rising order, and how many were answered in a second. */
async function lagsOf({ tenant, receiver }: World, perSecond: number, round: string) {
  const users = tenant.client(UserService);
  const now = () => performance.timeOrigin + performance.now();
  const answered = new Map<string, number>();
  const answers: Promise<void>[] = [];
  const start = performance.now();
  for (let elapsed = 0; elapsed < SLICE_MS; elapsed = performance.now() - start) {
    for (let n = answers.length; n < (elapsed / 1_000) * perSecond; n++)
      answers.push(
        users.upsertUser({ externalId: `${round}-${n}` }).then(({ user }) => {
          answered.set(user?.id ?? "", now());
        }),
      );
    await sleep(1);
  }
  await Promise.all(answers);
  const rate = answers.length / ((performance.now() - start) / 1_000);
  const arrived = await whenArrived(receiver, answered.size);
  const userOf = await usersOf(tenant, arrived);
  const lags = Array.from(arrived, ([id, at]) => Math.max(0, at - (answered.get(userOf.get(id) ?? "") ?? Number.NaN)));
  return { lags: lags.toSorted((a, b) => a - b), rate };
}

/** Whom the events are about. */
async function usersOf(tenant: Tenant, ids: ReadonlyMap<string, unknown>): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const request = { types: ["user.created"], pageSize: 1_000 };
  for (let pageToken = ""; found.size < ids.size; ) {
    const page = await tenant.client(EventService).listEvents({ ...request, pageToken });
    for (const { id, userId } of page.events) if (ids.has(id)) found.set(id, userId);
    pageToken = page.nextPageToken;
    if (pageToken === "") break;
  }
  return found;
}

async function measureLag(bench: Bench, world: World, perSecond: number): Promise<Figure[]> {
  const rounds: { p50: number; p99: number; rate: number }[] = [];
  for (let round = 0; round <= bench.rounds; round++) {
    const { lags, rate } = await lagsOf(world, perSecond, `lag-${perSecond}-${round}`);
    const at = (share: number) => lags[Math.floor(lags.length * share)] ?? Number.NaN;
    if (round > 0) rounds.push({ p50: at(0.5), p99: at(0.99), rate });
  }
  const name = `write → webhook at ${perSecond}/s`;
  const beside = `${Math.round(median(rounds.map(({ rate }) => rate)))} writes/s were answered`;
  return [
    { name: `${name}, p50`, unit: "ms", subject: median(rounds.map(({ p50 }) => p50)), beside },
    { name: `${name}, p99`, unit: "ms", subject: median(rounds.map(({ p99 }) => p99)) },
  ];
}

export const row: OwnRow = {
  about: `Events sent to a webhook on this machine, each of its own user: ${BACKLOG} that wait, and from the answer of UpsertUser to the receiver`,
  floor: "the same requests by the same guarded client, without order, state and signature",
  async measure(bench) {
    const receiver = bench.start("receiver-process.ts");
    const host = `127.0.0.1:${await receiver.ask<number>("start")}`;
    const muster = await bench.startMuster(undefined, { egressAllow: [host] });
    const tenant = await bench.makeTenant(muster);
    await tenant.makeUsers(BACKLOG);
    const url = `http://${host}/`;
    const input = { url, eventTypes: ["user.created"], maxConcurrency: CONCURRENCY };
    const { webhook } = await tenant.client(EventService).createWebhook({ webhook: input });
    const world = { muster, tenant, receiver, url };
    const figures = await measureRate(bench, world, webhook?.id ?? "");
    for (const perSecond of [100, 1_000]) figures.push(...(await measureLag(bench, world, perSecond)));
    return figures;
  },
};
