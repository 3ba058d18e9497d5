import { createLogger } from "../../../src/logger.ts";
import type { Step } from "../../../src/presence/chain.ts";
import { Hub } from "../../../src/presence/hub.ts";
import { ALL_RULES, type HubRules } from "../../../src/presence/hub-rules.ts";
import { createFakeClock } from "../../support/fake-clock.ts";
import { createRandom, type Random } from "../../support/random.ts";
import { EPOCH, LossyEngine, LossyStore } from "./lossy-store.ts";
import { ModelReader, Witness } from "./model-reader.ts";

const STATUSES = ["online", "away", "busy", "offline"];
const BEAT: Step[] = [{ status: "online", ttl: 4_000_000 }, { status: "away", ttl: 3_000_000 }, { status: "offline" }];
const SUBJECTS = ["a", "b", "c"].map((userId) => ({ projectId: "p", userId }));
/** Those that nobody watches before the storm is over. */
const NEWCOMERS = ["d", "e", "f", "g", "h", "i"].map((userId) => ({ projectId: "p", userId }));
const TROUBLE_MS = 60_000;
/** Every user is read again within a minute, whatever was lost. */
const CALM_MS = 62_000;
/** What a failover loses at the most. */
const LOST_MS = 1_500;

function makeChain(random: Random): Step[] {
  const step = () => ({ status: STATUSES[random(4)] ?? "", ttl: (500 + random(6_000)) * 1_000 });
  const steps: Step[] = Array.from({ length: 1 + random(4) }, step);
  return random(3) === 0 ? steps : [...steps, { status: STATUSES[random(4)] ?? "" }];
}

/** A minute in which everything may go wrong. */
function makeTrouble(store: LossyStore): void {
  const { clock, random } = store;
  for (let n = 0; n < 60; n++) {
    const subject = SUBJECTS[random(3)] ?? { projectId: "", userId: "" };
    clock.schedule(random(TROUBLE_MS), () => store.put(subject, random(2) === 0 ? BEAT : makeChain(random)));
  }
  if (random(4) === 0)
    clock.schedule(random(TROUBLE_MS), () => store.delete(SUBJECTS[2] ?? { projectId: "", userId: "" }));
  for (let n = random(4); n > 0; n--)
    clock.schedule(random(TROUBLE_MS), () => store.engines[random(store.engines.length)]?.reconnect());
  if (random(2) === 0) return;
  const at = TROUBLE_MS / 3 + random((TROUBLE_MS * 2) / 3 + 1_000);
  let earlier = store.records();
  clock.schedule(at - LOST_MS, () => {
    earlier = store.records();
  });
  clock.schedule(at, () => store.failOver(earlier));
}

/** Reads, is cut off now and then, and goes on at any server. */
async function readOn(reader: ModelReader, hubs: readonly Hub[], store: LossyStore, slow: boolean): Promise<void> {
  await store.wait(3_000);
  while (!store.over) {
    const cut = store.clock.schedule(1_000 + store.random(30_000), () => store.faulty && reader.cut());
    await reader.read(hubs[store.random(hubs.length)] as Hub, slow);
    cut[Symbol.dispose]();
  }
}

/**
 * One run of the hubs and watches of two servers over a store that an adversary has in hand: what is wrong in the end, and what was wrong
 * on the way. The same for the same seed.
 */
export async function runModel(seed: number, without?: keyof HubRules): Promise<string[]> {
  const random = createRandom(seed * 7_919);
  // No server's clock is right.
  const clock = createFakeClock(EPOCH / 1_000 + (random(2) === 0 ? 1 : -1) * (1_000 + random(300_000)));
  const store = new LossyStore(clock, random, [...SUBJECTS, ...NEWCOMERS]);
  const rules = without ? { ...ALL_RULES, [without]: false } : ALL_RULES;
  const logger = createLogger("silent");
  const seams = { rules, jitter: (least: number, most: number) => least + random(most - least) };
  using hubA = new Hub(new LossyEngine(store), clock, logger, seams);
  using hubB = new Hub(new LossyEngine(store), clock, logger, seams);
  const hubs = [hubA, hubB];
  const witness = new Witness(store);
  for (const hub of hubs)
    for (const subject of SUBJECTS) clock.schedule(random(3_000), () => witness.join(hub, subject));
  makeTrouble(store);
  const readers = [true, false].map((slow) => ({ slow, reader: new ModelReader(store, SUBJECTS) }));
  const reading = readers.map(({ reader, slow }) => readOn(reader, hubs, store, slow));
  await clock.advance(TROUBLE_MS + 1_000);
  store.faulty = false;
  await clock.advance(CALM_MS);
  const faults = readers.flatMap(({ reader }) => [...reader.faults, ...stuck(reader, "reader")]);
  const cuts = readers.flatMap(({ reader }) => reader.cuts);
  const late = NEWCOMERS.map((subject) => new ModelReader(store, [subject]));
  const watching = late.map((reader) => reader.read(hubs[random(2)] as Hub, false));
  // Where nothing is lost, nothing waits to be found: each is set while it is subscribed to and read.
  for (const subject of NEWCOMERS)
    for (let n = 0; n < 3; n++) clock.schedule(random(40), () => store.put(subject, makeChain(random)));
  const again = cuts.map((cut) => new ModelReader(store, SUBJECTS, cut));
  const resuming = again.map((reader) => reader.read(hubs[random(2)] as Hub, false));
  await clock.advance(2_000);
  faults.push(...again.flatMap((reader) => [...reader.faults, ...stuck(reader, "resumed")]));
  faults.push(...late.flatMap((reader) => [...reader.faults, ...stuck(reader, "newcomer")]));
  store.over = true;
  for (const reader of [...again, ...late, ...readers.map((it) => it.reader)]) reader.cut();
  await clock.advance(1_000);
  await Promise.all([...reading, ...resuming, ...watching]);
  if (witness.untrue > 0) faults.push(`${witness.untrue} links told that were not in force`);
  return faults;
}

const stuck = (reader: ModelReader, name: string): string[] => [
  ...reader.wrong().map((user) => `${name} sees ${user} as ${JSON.stringify(reader.view.get(user))}`),
  ...(reader.isLive ? [] : [`${name} has no snapshot`]),
];
