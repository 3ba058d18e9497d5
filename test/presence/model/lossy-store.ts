import type { Step } from "../../../src/presence/chain.ts";
import { type PresenceRecord, spanAt } from "../../../src/presence/effective-presence.ts";
import {
  type EngineObserver,
  type KnownUser,
  keyOf,
  type PresenceEngine,
  type Reading,
  type Subject,
} from "../../../src/presence/engine.ts";
import type { FakeClock } from "../../support/fake-clock.ts";
import type { Random } from "../../support/random.ts";

type Records = ReadonlyMap<string, PresenceRecord | undefined>;

/** What the engine's clock shows at the beginning of time, in microseconds: nothing to do with any other clock. */
export const EPOCH = 1_790_000_000_000_000;

/**
 * The truth, and the network in between: notes are lost, doubled, late and out of order, reads slow and lost, subscriptions late, and a
 * failover forgets. All of it follows from the seed.
 */
export class LossyStore {
  /** Whether the adversary is at work, and whether the run is over. */
  faulty = true;
  over = false;
  readonly clock: FakeClock;
  readonly random: Random;
  readonly engines: LossyEngine[] = [];
  /** Another one after each failover. */
  #history = 1;
  /** The users there are; undefined: nothing was set for it. */
  readonly #users = new Map<string, PresenceRecord | undefined>();
  readonly deleted = new Set<string>();
  /** All records a user had, each with the moment it came. */
  readonly #past = new Map<string, [from: number, record: PresenceRecord | undefined][]>();

  constructor(clock: FakeClock, random: Random, subjects: readonly Subject[]) {
    this.clock = clock;
    this.random = random;
    for (const subject of subjects) this.#users.set(keyOf(subject), undefined);
  }

  get now(): number {
    return EPOCH + this.clock.monotonic() * 1_000;
  }

  get identity(): string {
    return `history ${this.#history}`;
  }

  /** Sets as the real one does. */
  put(subject: Subject, steps: readonly Step[]): void {
    const key = keyOf(subject);
    if (!this.#users.has(key)) return;
    const { now } = this;
    const before = this.#users.get(key);
    const same = before && JSON.stringify(before.steps) === JSON.stringify(steps) && spanAt(before, now).step === 0;
    const revision = Math.max((before?.revision ?? 0) + 1, now);
    const record = { revision, setAt: now, since: same ? before.since : now, steps };
    this.#store(key, record);
    if (!same) for (const engine of this.engines) engine.note(subject, record);
  }

  delete(subject: Subject): void {
    const key = keyOf(subject);
    this.#users.delete(key);
    this.deleted.add(key);
    for (const engine of this.engines) engine.note(subject, undefined);
  }

  records(): Records {
    return new Map(this.#users);
  }

  recordOf(subject: Subject): PresenceRecord | undefined {
    return this.#users.get(keyOf(subject));
  }

  read(subject: Subject): KnownUser | undefined {
    const key = keyOf(subject);
    return this.#users.has(key)
      ? { externalId: key, lastActiveAt: undefined, record: this.#users.get(key) }
      : undefined;
  }

  /** Goes back to what was stored at an earlier moment, on another server. */
  failOver(earlier: Records): void {
    this.#history++;
    for (const key of this.#users.keys()) this.#store(key, earlier.get(key));
    for (const engine of this.engines) engine.reconnect();
  }

  /** Whether the link `step` of what came into force at `since` was in force at some moment of the last `micros`. */
  wasInForce(subject: Subject, since: number | undefined, step: number, micros: number): boolean {
    const past = this.#past.get(keyOf(subject)) ?? [];
    return past.some(([from, record], index) => {
      const until = past[index + 1]?.[0] ?? this.now;
      if (record?.since !== since || until < this.now - micros) return false;
      const first = spanAt(record, Math.max(from, this.now - micros)).step;
      return first <= step && step <= spanAt(record, until).step;
    });
  }

  /** A time in milliseconds; in calm weather it is short. */
  delay(most: number): number {
    return this.random(this.faulty ? most : 20);
  }

  wait(most: number): Promise<void> {
    return new Promise((resolve) => this.clock.schedule(this.delay(most), resolve));
  }

  #store(key: string, record: PresenceRecord | undefined): void {
    this.#users.set(key, record);
    this.#past.set(key, [...(this.#past.get(key) ?? []), [this.now, record]]);
  }
}

/** The engine of one server. */
export class LossyEngine implements PresenceEngine {
  readonly #store: LossyStore;
  readonly #subscribed = new Set<string>();
  #observer: EngineObserver | undefined;
  #generation = 1;

  constructor(store: LossyStore) {
    this.#store = store;
    store.engines.push(this);
  }

  async get(subjects: readonly Subject[]): Promise<Reading> {
    const generation = this.#generation;
    await this.#store.wait(200);
    const users = subjects.map((subject) => this.#store.read(subject));
    const { now, identity } = this.#store;
    await this.#store.wait(200);
    if (this.#store.faulty && this.#store.random(10) === 0) throw new Error("the read is lost");
    return { now, generation, identity, users };
  }

  async subscribe(subjects: readonly Subject[]): Promise<void> {
    await this.#store.wait(400);
    for (const subject of subjects) this.#subscribed.add(keyOf(subject));
  }

  unsubscribe(subjects: readonly Subject[]): void {
    for (const subject of subjects) this.#subscribed.delete(keyOf(subject));
  }

  observe(observer: EngineObserver): void {
    this.#observer = observer;
  }

  note(subject: Subject, record: PresenceRecord | undefined): void {
    const { faulty, random, clock } = this.#store;
    if (!this.#subscribed.has(keyOf(subject)) || (faulty && random(100) < 15)) return;
    const copies = faulty && random(10) === 0 ? 2 : 1;
    for (let copy = 0; copy < copies; copy++)
      clock.schedule(this.#store.delay(300), () => this.#observer?.onChange(subject, record));
  }

  /** Loses the connection, which comes back a little later. */
  reconnect(): void {
    this.#observer?.onGap();
    this.#generation++;
    this.#store.clock.schedule(this.#store.delay(200), () => this.#observer?.onGeneration(this.#generation));
  }

  set(): never {
    throw new Error("tests put");
  }

  announceDeletion(): void {}

  async [Symbol.asyncDispose](): Promise<void> {}
}
