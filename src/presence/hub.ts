import { randomInt } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { Micros } from "./chain.ts";
import { DeadlineHeap } from "./deadline-heap.ts";
import { type PresenceRecord, spanAt } from "./effective-presence.ts";
import { type KnownUser, keyOf, type PresenceEngine, type Reading, type Subject } from "./engine.ts";
import { EngineTime } from "./engine-time.ts";
import { History } from "./history.ts";
import { ALL_RULES, type HubRules, type HubSeams } from "./hub-rules.ts";
import { ReadQueue } from "./read-queue.ts";
import { type UserWatcher, WatchedUser } from "./watched-user.ts";

/** A watched user is read again after this long at the latest and, so that not all are at once, at the earliest. */
const RECONCILE_MS = { least: 30_000, most: 60_000 };
/** Users that nobody watches any more are kept a while: a reader that comes back finds them. */
const LINGER_MS = 30_000;
/** Ends of links that fall into one tick are read together; what is less pressing waits for a longer one. */
const TICK_MS = 10;
const SLOW_TICK_MS = 1_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * What this process knows of the users that its readers watch. It trusts notifications only to be told sooner; that it is right in the
 * end rests on the `HubRules`.
 */
export class Hub implements Disposable {
  readonly #engine: PresenceEngine;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #time: EngineTime;
  readonly #users = new Map<string, WatchedUser>();
  readonly #slots: (WatchedUser | undefined)[] = [];
  readonly #heap = new DeadlineHeap();
  readonly #reads: ReadQueue<WatchedUser>;
  #timer: Disposable | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  /** Counts events: orders reads and updates without asking any clock. */
  #events = 0;
  #generation = 0;
  #gap = false;
  #staleSince: number | undefined;
  readonly #history = new History();

  readonly #rules: HubRules;
  readonly #jitter: HubSeams["jitter"];

  /** `seams` are for the model checker alone. */
  constructor(engine: PresenceEngine, clock: Clock, logger: Logger, seams: HubSeams = IN_SERVICE) {
    this.#rules = seams.rules;
    this.#jitter = seams.jitter;
    this.#engine = engine;
    this.#clock = clock;
    this.#logger = logger;
    this.#time = new EngineTime(clock);
    this.#reads = new ReadQueue(clock, (batch) => this.#read(batch));
    engine.observe({
      onChange: (subject, record) => this.#hear(subject, record),
      onGap: () => this.#lose(),
      onGeneration: (generation) => this.#renew(generation),
    });
  }

  /** How many users are watched or were a moment ago. */
  get size(): number {
    return this.#users.size;
  }

  /** The engine's clock, to a round trip; undefined before the first read. */
  get now(): Micros | undefined {
    return this.#time.known ? this.#time.now() : undefined;
  }

  /** The store with its history, as the latest read named it; undefined: not read yet, or lost since. */
  get identity(): string | undefined {
    return this.#gap ? undefined : this.#history.identity;
  }

  /** Counts the histories of the store that were seen. */
  get epoch(): number {
    return this.#history.epoch;
  }

  /** A number for this moment: the count goes on with everything that happens. */
  nextEvent(): number {
    return ++this.#events;
  }

  /** Has a user read, and `watcher` told once that is done. */
  refresh(user: WatchedUser, watcher: UserWatcher): void {
    user.waiting ??= new Set();
    user.waiting.add(watcher);
    this.#reads.add(user, true);
  }

  /** Whether the engine's clock was set back past this time, so that what came after it may seem to have come before. */
  wasTurnedBack(time: Micros): boolean {
    return this.#history.wasTurnedBack(time);
  }

  /** For how long the engine has been out of reach, in milliseconds; 0: it is not. */
  get staleFor(): number {
    return this.#staleSince === undefined ? 0 : Math.max(this.#clock.monotonic() - this.#staleSince, 1);
  }

  /** What is known of a user, if it is watched or was a moment ago. */
  find(subject: Subject): WatchedUser | undefined {
    return this.#users.get(keyOf(subject));
  }

  /** Has `watcher` told of a user from now on, and at once if it is known. */
  join(subject: Subject, watcher: UserWatcher): WatchedUser {
    const user = this.find(subject) ?? this.#add(subject);
    user.watchers.add(watcher);
    user.dropAt = Number.POSITIVE_INFINITY;
    if (user.state !== "loading") watcher.onChange(user);
    return user;
  }

  leave(user: WatchedUser, watcher: UserWatcher): void {
    user.waiting?.delete(watcher);
    if (!user.watchers.delete(watcher) || user.watchers.size > 0) return;
    user.dropAt = this.#clock.monotonic() + LINGER_MS;
    this.#arm(user);
  }

  [Symbol.dispose](): void {
    this.#reads.close();
    this.#timer?.[Symbol.dispose]();
    this.#timerAt = Number.NEGATIVE_INFINITY;
  }

  #add(subject: Subject): WatchedUser {
    const user = new WatchedUser(subject, this.#heap.acquire());
    this.#users.set(user.key, user);
    this.#slots[user.slot] = user;
    this.#reads.add(user, true);
    return user;
  }

  #drop(user: WatchedUser): void {
    this.#users.delete(user.key);
    this.#reads.delete(user);
    this.#heap.release(user.slot);
    this.#slots[user.slot] = undefined;
    this.#engine.unsubscribe([user.subject]);
  }

  #hear(subject: Subject, record: PresenceRecord | undefined): void {
    const user = this.find(subject);
    if (!user) return;
    const gone = user.state === "missing" || user.state === "deleted";
    // Not enough to go by, or so late that its first link is over: only a read tells.
    if (!record || gone || this.#time.now() >= spanAt(record, record.setAt).end) return this.#reads.add(user, true);
    if (this.#rules.maxMerge && record.revision <= (user.record?.revision ?? 0)) return;
    user.updatedAt = ++this.#events;
    const changed = user.take(record, record.setAt);
    if (user.state === "known") this.#announce(user, changed);
    this.#arm(user);
  }

  async #read(batch: readonly WatchedUser[]): Promise<void> {
    try {
      const subjects = batch.map(({ subject }) => subject);
      const loading = batch.filter(({ state }) => state === "loading");
      const subscribed = loading.length > 0 && this.#engine.subscribe(loading.map(({ subject }) => subject));
      if (this.#rules.subscribeFirst) await subscribed;
      const startedAt = ++this.#events;
      const sentAt = this.#clock.monotonic();
      const read = await this.#engine.get(subjects);
      const reading = this.#rules.engineClock ? read : { ...read, now: this.#clock.now() * 1_000 };
      this.#time.learn(reading.now, sentAt);
      this.#history.learn(reading);
      if (!this.#gap) this.#staleSince = undefined;
      for (const [index, user] of batch.entries())
        if (this.#users.get(user.key) === user) this.#merge(user, reading.users[index], reading, startedAt);
    } catch (error) {
      this.#staleSince ??= this.#clock.monotonic();
      this.#logger.warn({ err: error, users: batch.length }, "watched presences cannot be read");
      throw error;
    }
  }

  #merge(user: WatchedUser, known: KnownUser | undefined, reading: Reading, startedAt: number): void {
    const [before, after] = [user.record?.revision ?? 0, known?.record?.revision ?? 0];
    const isLatest = startedAt > user.updatedAt && reading.generation >= this.#generation;
    const right = isLatest && (this.#rules.rollback || after >= before);
    // Whoever was heard of while the read was under way is not gone by what the read says.
    if (!known && !right) return this.#reads.add(user, true);
    const { least, most } = RECONCILE_MS;
    const reconcileAt = ceil(this.#clock.monotonic() + this.#jitter(least, most - SLOW_TICK_MS), SLOW_TICK_MS);
    user.reconcileAt = this.#rules.reconcile ? reconcileAt : Number.POSITIVE_INFINITY;
    const state = known ? "known" : user.state === "known" || user.state === "deleted" ? "deleted" : "missing";
    const stateChanged = state !== user.state;
    user.state = state;
    user.known = known;
    user.readAt = startedAt;
    if (right || after >= before || !this.#rules.maxMerge) {
      user.confirmedAt = reading.now;
      user.epoch = this.#history.epoch;
    }
    let changed = false;
    if (right || after > before || !this.#rules.maxMerge) {
      user.updatedAt = ++this.#events;
      changed = user.take(known?.record, reading.now);
    } else if (after === before) changed = user.take(user.record, reading.now);
    this.#arm(user);
    this.#announce(user, changed || stateChanged);
  }

  /** Tells of a user what is new, and those that wait for it to be read. Where revisions go back, the store has lost some. */
  #announce(user: WatchedUser, isNew: boolean): void {
    const revision = user.record?.revision ?? 0;
    const isBack = isNew && user.state === "known" && revision < user.highest;
    user.highest = isBack ? revision : Math.max(user.highest, revision);
    for (const watcher of user.watchers) {
      const waited = user.waiting?.delete(watcher);
      if (isBack) watcher.onRollback();
      if (isNew || waited) watcher.onChange(user);
    }
    if (user.waiting?.size === 0) user.waiting = undefined;
  }

  #lose(): void {
    this.#gap = true;
    this.#staleSince ??= this.#clock.monotonic();
  }

  #renew(generation: number): void {
    this.#gap = false;
    this.#generation = generation;
    for (const user of this.#users.values()) this.#reads.add(user, user.state === "loading");
    if (this.#users.size === 0) this.#staleSince = undefined;
    this.#reads.resume();
  }

  #arm(user: WatchedUser): void {
    const end = user.state === "known" ? user.span.end : Number.POSITIVE_INFINITY;
    const expiry = end === Number.POSITIVE_INFINITY ? end : ceil(this.#time.monotonicAt(end), TICK_MS);
    this.#heap.set(user.slot, Math.min(expiry, user.reconcileAt, user.dropAt));
    this.#schedule();
  }

  #schedule(): void {
    const at = this.#heap.earliest;
    // A timer that fires early finds nothing due and is set anew: cheaper than setting it with each deadline that moves on.
    if (at >= this.#timerAt) return;
    this.#timer?.[Symbol.dispose]();
    this.#timerAt = at;
    const delay = Math.min(Math.max(Math.ceil(at - this.#clock.monotonic()), 0), LONGEST_TIMER_MS);
    this.#timer = this.#clock.schedule(delay, () => this.#fire());
  }

  #expire(user: WatchedUser): void {
    if (user.take(user.record, this.#time.now())) for (const watcher of user.watchers) watcher.onChange(user);
    this.#arm(user);
  }

  #fire(): void {
    const now = this.#clock.monotonic();
    for (let slot = this.#heap.takeDue(now); slot >= 0; slot = this.#heap.takeDue(now)) {
      const user = this.#slots[slot] as WatchedUser;
      if (user.dropAt <= now) this.#drop(user);
      else if (!this.#rules.verifyOnFire && user.reconcileAt > now) this.#expire(user);
      else this.#reads.add(user, user.reconcileAt > now);
    }
    this.#timerAt = Number.POSITIVE_INFINITY;
    this.#schedule();
  }
}

const IN_SERVICE: HubSeams = { rules: ALL_RULES, jitter: randomInt };

const ceil = (value: number, unit: number): number => Math.ceil(value / unit) * unit;
