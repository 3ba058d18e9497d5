import { spanAt } from "../../src/presence/effective-presence.ts";
import {
  type Change,
  type EngineObserver,
  type KnownUser,
  keyOf,
  type Outcome,
  type PresenceEngine,
  type Reading,
  type Subject,
  type Written,
} from "../../src/presence/engine.ts";
import type { FakeClock } from "../support/fake-clock.ts";

/** What is stored in memory, and who is told of it: the engines of several processes stand on one. */
export class MemoryStore {
  readonly users = new Map<string, KnownUser>();
  readonly suspended = new Set<string>();
  readonly engines = new Set<MemoryEngine>();
  readonly #clock: FakeClock;
  /** Its clock has nothing to do with any other. */
  readonly #base = 1_790_000_000_000_000;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  /** Virtual time: it passes when the test says so. */
  get now(): number {
    return this.#base + Math.floor(this.#clock.monotonic() * 1_000);
  }

  put({ subject, chain }: Change): Outcome {
    const key = keyOf(subject);
    const user = this.users.get(key);
    if (!user) return "no such user";
    if (this.suspended.has(key) && chain.steps.length > 0) return "suspended";
    const { now } = this;
    const before = user.record;
    const same = before && JSON.stringify(before.steps) === chain.text && spanAt(before, now).step === 0;
    const revision = Math.max((before?.revision ?? 0) + 1, now);
    const record = { revision, setAt: now, since: same ? before.since : now, steps: chain.steps };
    this.users.set(key, { ...user, record });
    if (!same) for (const engine of this.engines) engine.hear(subject, record);
    return { ...user, record };
  }

  /** Cuts every engine off, and lets it come back. */
  interrupt(): void {
    for (const engine of this.engines) engine.interrupt();
  }
}

/** The reference: what an engine does, with nothing that could go wrong in between. */
export class MemoryEngine implements PresenceEngine {
  readonly #store: MemoryStore;
  readonly #subscribed = new Set<string>();
  #observer: EngineObserver | undefined;
  #generation = 1;

  constructor(store: MemoryStore) {
    this.#store = store;
    store.engines.add(this);
  }

  async set(changes: readonly Change[]): Promise<Written> {
    return { outcomes: changes.map((change) => this.#store.put(change)), now: this.#store.now };
  }

  async get(subjects: readonly Subject[]): Promise<Reading> {
    const users = subjects.map((subject) => this.#store.users.get(keyOf(subject)));
    return { now: this.#store.now, generation: this.#generation, identity: "memory", users };
  }

  async subscribe(subjects: readonly Subject[]): Promise<void> {
    for (const subject of subjects) this.#subscribed.add(keyOf(subject));
  }

  unsubscribe(subjects: readonly Subject[]): void {
    for (const subject of subjects) this.#subscribed.delete(keyOf(subject));
  }

  observe(observer: EngineObserver): void {
    this.#observer = observer;
  }

  announceDeletion(subject: Subject): void {
    for (const engine of this.#store.engines) engine.hear(subject, undefined);
  }

  hear(subject: Subject, record: KnownUser["record"]): void {
    if (this.#subscribed.has(keyOf(subject))) this.#observer?.onChange(subject, record);
  }

  interrupt(): void {
    this.#observer?.onGap();
    this.#observer?.onGeneration(++this.#generation);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#observer = undefined;
    this.#store.engines.delete(this);
  }
}
