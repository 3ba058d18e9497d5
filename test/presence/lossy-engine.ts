import type { Step } from "../../src/presence/chain.ts";
import type { PresenceRecord } from "../../src/presence/effective-presence.ts";
import { spanAt } from "../../src/presence/effective-presence.ts";
import {
  type EngineObserver,
  keyOf,
  type PresenceEngine,
  type Reading,
  type Subject,
} from "../../src/presence/engine.ts";
import type { FakeClock } from "../support/fake-clock.ts";

/** Gives integers from 0 to below, the same ones for the same seed. */
export function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** An engine in memory behind a bad network: notes are lost, doubled, late and out of order, reads slow, and a failover forgets. */
export class LossyEngine implements PresenceEngine {
  faulty = true;
  readonly records = new Map<string, PresenceRecord>();
  /** All records a user had, each with the moment it came. */
  readonly #history = new Map<string, [from: number, record: PresenceRecord | undefined][]>();
  readonly #clock: FakeClock;
  readonly #random: (below: number) => number;
  readonly #subscribed = new Set<string>();
  #observer: EngineObserver | undefined;
  #generation = 1;
  /** The engine's clock has nothing to do with any other. */
  readonly #base = 1_790_000_000_000_000;

  constructor(clock: FakeClock, random: (below: number) => number) {
    this.#clock = clock;
    this.#random = random;
  }

  get now(): number {
    return this.#base + this.#clock.monotonic() * 1_000;
  }

  /** Sets as the real one does, but at once. */
  put(subject: Subject, steps: readonly Step[]): void {
    const key = keyOf(subject);
    const before = this.records.get(key);
    const same =
      before && JSON.stringify(before.steps) === JSON.stringify(steps) && spanAt(before, this.now).step === 0;
    const revision = Math.max((before?.revision ?? 0) + 1, this.now);
    const record = { revision, setAt: this.now, since: same ? before.since : this.now, steps };
    this.#store(key, record);
    if (!same) this.#note(subject, record);
  }

  /** Goes back to what was stored at an earlier moment. */
  failOver(earlier: ReadonlyMap<string, PresenceRecord>): void {
    for (const key of this.#history.keys()) this.#store(key, earlier.get(key));
    this.#observer?.onGap();
    this.#generation++;
    this.#clock.schedule(this.#delay(200), () => this.#observer?.onGeneration(this.#generation));
  }

  /** Whether the link `step` of what came into force at `since` was in force at some moment of the last `micros`. */
  wasInForce(subject: Subject, since: number | undefined, step: number, micros: number): boolean {
    const history = this.#history.get(keyOf(subject)) ?? [];
    return history.some(([from, record], index) => {
      const until = history[index + 1]?.[0] ?? this.now;
      if (record?.since !== since || until < this.now - micros) return false;
      const first = spanAt(record, Math.max(from, this.now - micros)).step;
      return first <= step && step <= spanAt(record, until).step;
    });
  }

  async get(subjects: readonly Subject[]): Promise<Reading> {
    const generation = this.#generation;
    await this.#wait(200);
    const records = subjects.map((subject) => this.records.get(keyOf(subject)));
    const now = this.now;
    await this.#wait(200);
    if (this.faulty && this.#random(10) === 0) throw new Error("the read is lost");
    const users = records.map((record) => ({ externalId: "x", lastActiveAt: undefined, record }));
    return { now, generation, identity: "one", users };
  }

  async subscribe(subjects: readonly Subject[]): Promise<void> {
    await this.#wait(50);
    for (const subject of subjects) this.#subscribed.add(keyOf(subject));
  }

  unsubscribe(subjects: readonly Subject[]): void {
    for (const subject of subjects) this.#subscribed.delete(keyOf(subject));
  }

  observe(observer: EngineObserver): void {
    this.#observer = observer;
  }

  set(): never {
    throw new Error("tests put");
  }

  announceDeletion(): void {}

  async [Symbol.asyncDispose](): Promise<void> {}

  #store(key: string, record: PresenceRecord | undefined): void {
    if (record) this.records.set(key, record);
    else this.records.delete(key);
    this.#history.set(key, [...(this.#history.get(key) ?? []), [this.now, record]]);
  }

  #note(subject: Subject, record: PresenceRecord): void {
    if (!this.#subscribed.has(keyOf(subject)) || (this.faulty && this.#random(100) < 15)) return;
    const copies = this.faulty && this.#random(10) === 0 ? 2 : 1;
    for (let copy = 0; copy < copies; copy++)
      this.#clock.schedule(this.#delay(300), () => this.#observer?.onChange(subject, record));
  }

  #wait(most: number): Promise<void> {
    return new Promise((resolve) => this.#clock.schedule(this.#delay(most), resolve));
  }

  #delay(most: number): number {
    return this.#random(this.faulty ? most : 20);
  }
}
