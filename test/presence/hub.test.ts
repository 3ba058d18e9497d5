import { expect, test } from "vitest";
import { createLogger } from "../../src/logger.ts";
import type { Step } from "../../src/presence/chain.ts";
import { spanAt } from "../../src/presence/effective-presence.ts";
import { keyOf } from "../../src/presence/engine.ts";
import { Hub } from "../../src/presence/hub.ts";
import type { UserWatcher, WatchedUser } from "../../src/presence/watched-user.ts";
import { createFakeClock, type FakeClock } from "../support/fake-clock.ts";
import { createRandom, LossyEngine } from "./lossy-engine.ts";

const STATUSES = ["online", "away", "busy", "offline"];
const BEAT: Step[] = [{ status: "online", ttl: 4_000_000 }, { status: "away", ttl: 3_000_000 }, { status: "offline" }];
const SUBJECTS = ["a", "b", "c"].map((userId) => ({ projectId: "p", userId }));

/** Longer than any read or note is under way. */
const LATE = 500_000;

/** Notes what it is told: each step back that no rollback explains, and each end of a link that never was. */
class Witness implements UserWatcher {
  readonly seen = new Map<string, { revision: number; step: number }>();
  stepsBack = 0;
  rollbacks = 0;
  untrue = 0;
  readonly #engine: LossyEngine;

  constructor(engine: LossyEngine) {
    this.#engine = engine;
  }

  onChange({ subject, key, record, span }: WatchedUser): void {
    if (span.step > 0 && !this.#engine.wasInForce(subject, record?.since, span.step, LATE)) this.untrue++;
    const next = { revision: record?.revision ?? 0, step: span.step };
    const last = this.seen.get(key) ?? next;
    const back = next.revision < last.revision || (next.revision === last.revision && next.step < last.step);
    if (back) this.stepsBack++;
    this.seen.set(key, next);
  }

  onRollback(): void {
    this.rollbacks++;
    this.seen.clear();
  }
}

function makeChain(random: (below: number) => number): Step[] {
  const step = () => ({ status: STATUSES[random(4)] ?? "", ttl: (500 + random(6_000)) * 1_000 });
  const steps: Step[] = Array.from({ length: 1 + random(4) }, step);
  return random(3) === 0 ? steps : [...steps, { status: STATUSES[random(4)] ?? "" }];
}

/** A minute in which everything goes wrong. Gives whether the engine fails over in it, perhaps after the last set. */
function makeTrouble(clock: FakeClock, engine: LossyEngine, random: (below: number) => number): boolean {
  for (let n = 0; n < 60; n++) {
    const subject = SUBJECTS[random(3)] ?? { projectId: "", userId: "" };
    clock.schedule(random(60_000), () => engine.put(subject, random(2) === 0 ? BEAT : makeChain(random)));
  }
  if (random(2) === 0) return false;
  const at = 20_000 + random(41_000);
  let earlier = new Map(engine.records);
  clock.schedule(at - 1_500, () => {
    earlier = new Map(engine.records);
  });
  clock.schedule(at, () => engine.failOver(earlier));
  return true;
}

test("whatever is lost, doubled, late, out of order or forgotten, in the end the hub shows what is stored", async () => {
  const failures: unknown[] = [];
  for (let seed = 1; seed <= 300; seed++) {
    const clock = createFakeClock();
    const random = createRandom(seed * 7_919);
    const engine = new LossyEngine(clock, random);
    using hub = new Hub(engine, clock, createLogger("silent"));
    const witness = new Witness(engine);
    const failsOver = makeTrouble(clock, engine, random);
    const users: WatchedUser[] = [];
    for (const subject of SUBJECTS) clock.schedule(random(3_000), () => users.push(hub.join(subject, witness)));
    await clock.advance(61_000);
    engine.faulty = false;
    // Every user is read again within a minute.
    await clock.advance(62_000);
    for (const user of users) {
      const truth = engine.records.get(keyOf(user.subject));
      const shown = [user.record?.since, user.span.step];
      // A link may have ended within the time a read takes.
      const right = [0, 100_000].map((late) => [truth?.since, spanAt(truth, engine.now - late).step]);
      if (!right.some((it) => it.join() === shown.join())) failures.push({ seed, user: user.key, shown, right });
    }
    const { stepsBack, rollbacks, untrue } = witness;
    if (stepsBack > 0 || untrue > 0 || (rollbacks > 0 && !failsOver))
      failures.push({ seed, stepsBack, rollbacks, untrue });
  }
  expect(failures).toEqual([]);
});
