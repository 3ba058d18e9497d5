import type { Clock } from "../../clock.ts";
import type { Database } from "../../db/orm.ts";
import { MusterError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import type { Micros } from "../chain.ts";
import type { PresenceRecord } from "../effective-presence.ts";
import {
  type Change,
  type EngineObserver,
  keyOf,
  type Outcome,
  type PresenceEngine,
  type Reading,
  type Subject,
  type Written,
} from "../engine.ts";
import { knownUsers, type RegisteredUser } from "./known-users.ts";
import { Masters, type RedisTarget } from "./masters.ts";
import { type Records, readRecords } from "./read-records.ts";
import { readNote, readTimes } from "./record-text.ts";
import { runScript } from "./run-command.ts";
import { SET } from "./scripts.ts";
import { removeRecord, sweepRecords } from "./sweep-records.ts";
import { TagSubscriptions } from "./tag-subscriptions.ts";
import { channelOf, recordKey, tagOf } from "./tags.ts";

export interface RedisEngineDeps {
  /** Says who there is. */
  readonly db: Database;
  readonly target: RedisTarget;
  /** Times real connections: the machine's own. */
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How long after tags could not be put where they belong it is tried again. */
const SETTLE_AGAIN_MS = 250;
/** By how much the clocks of a cluster's servers may differ: where a read's time goes back by less, it stands still instead. */
const MOST_SKEW: Micros = 1_000_000;
/** The log says at most this often that changes fail: with Redis away, all of them do. */
const COMPLAIN_EVERY_MS = 1_000;

/**
 * Presences in Redis or Valkey: its clock, its keys, its sharded channels. Nothing there expires but what tells late writers of a
 * deletion. A lost connection is a new generation. Resolves once Redis was tried, within 5 s, whether or not it
 * is there.
 */
export async function createRedisEngine(deps: RedisEngineDeps): Promise<PresenceEngine> {
  const engine = new RedisEngine(deps);
  await engine.start();
  return engine;
}

class RedisEngine implements PresenceEngine {
  readonly #deps: RedisEngineDeps;
  readonly #masters: Masters;
  readonly #subscriptions: TagSubscriptions;
  readonly #subscribed = new Set<string>();
  #observer: EngineObserver | undefined;
  #generation = 1;
  #gap = false;
  #settling = false;
  #closed = false;
  #settleTimer: Disposable | undefined;
  #complainedAt = Number.NEGATIVE_INFINITY;
  #latest: Micros = 0;

  constructor(deps: RedisEngineDeps) {
    this.#deps = deps;
    this.#masters = new Masters(deps.target, deps.clock, deps.logger, {
      onMessage: (message) => this.#deliver(message),
      onLost: () => this.#lose(),
      onChange: () => void this.#settle(),
    });
    this.#subscriptions = new TagSubscriptions(this.#masters);
  }

  async start(): Promise<void> {
    await this.#masters.start();
  }

  async set(changes: readonly Change[]): Promise<Written> {
    const users = await knownUsers(
      this.#deps.db,
      changes.map(({ subject }) => subject),
    );
    const outcomes = await Promise.all(changes.map((change, index) => this.#set(change, users[index])));
    const times = outcomes.map((outcome) => (typeof outcome === "object" ? outcome.record.setAt : 0));
    return { now: Math.max(0, ...times), outcomes };
  }

  async get(subjects: readonly Subject[], signal?: AbortSignal): Promise<Reading> {
    const generation = this.#generation;
    const identity = this.#masters.history;
    const [users, { now, records }] = await Promise.all([
      knownUsers(this.#deps.db, subjects, signal),
      this.#read(subjects),
    ]);
    return {
      now: this.#steady(now),
      generation,
      identity,
      users: users.map((known, index) => known && { ...known.user, record: shownOf(known, records[index]) }),
    };
  }

  async subscribe(subjects: readonly Subject[]): Promise<void> {
    for (const subject of subjects) {
      const key = keyOf(subject);
      if (!this.#subscribed.has(key)) this.#subscriptions.add(tagOf(subject));
      this.#subscribed.add(key);
    }
    try {
      await this.#subscriptions.place(subjects.map(tagOf));
    } catch (error) {
      throw unavailable(error);
    }
  }

  unsubscribe(subjects: readonly Subject[]): void {
    for (const subject of subjects)
      if (this.#subscribed.delete(keyOf(subject))) this.#subscriptions.remove(tagOf(subject));
  }

  observe(observer: EngineObserver): void {
    this.#observer = observer;
  }

  announceDeletion(subject: Subject): void {
    // The sweep removes the record later; until then the database keeps it from being seen.
    removeRecord(this.#masters, subject).catch((error: unknown) => this.#complain(error));
  }

  async recordOf(subject: Subject): Promise<PresenceRecord | undefined> {
    const { records } = await this.#read([subject]);
    return records[0];
  }

  async sweep(signal: AbortSignal): Promise<void> {
    try {
      await sweepRecords(this.#deps.db, this.#masters, signal);
    } catch (error) {
      throw error instanceof MusterError || signal.aborted ? error : unavailable(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#observer = undefined;
    this.#settleTimer?.[Symbol.dispose]();
    this.#masters[Symbol.dispose]();
  }

  async #set({ subject, chain }: Change, known: RegisteredUser | undefined): Promise<Outcome> {
    if (!known) return "no such user";
    if (known.isSuspended && chain.steps.length > 0) return "suspended";
    const tag = tagOf(subject);
    const { steps, text } = chain;
    const args = [channelOf(tag), keyOf(subject), text, String(steps[0]?.ttl ?? "")];
    try {
      const times = await runScript(this.#masters, tag, SET, recordKey(tag, subject), ...args);
      return times === null ? "no such user" : { ...known.user, record: { ...readTimes(String(times)), steps } };
    } catch (error) {
      this.#complain(error);
      return "unavailable";
    }
  }

  #steady(now: Micros): Micros {
    const skewed = this.#masters.isCluster && now < this.#latest && now > this.#latest - MOST_SKEW;
    if (!skewed) this.#latest = now;
    return this.#latest;
  }

  async #read(subjects: readonly Subject[]): Promise<Records> {
    try {
      return await readRecords(this.#masters, subjects);
    } catch (error) {
      throw unavailable(error);
    }
  }

  #deliver(message: string): void {
    try {
      const note = readNote(message, (key) => this.#subscribed.has(key));
      if (note) this.#observer?.onChange(note.subject, note.record);
    } catch (error) {
      this.#deps.logger.warn({ err: error }, "a notification about presences cannot be read");
    }
  }

  #lose(): void {
    if (this.#gap) return;
    this.#gap = true;
    this.#observer?.onGap();
  }

  /** Brings the subscriptions in line with where the tags are; ends the gap once all of them are. */
  async #settle(): Promise<void> {
    if (this.#subscriptions.isMisplaced) this.#lose();
    if (this.#settling || this.#closed) return;
    this.#settling = true;
    this.#settleTimer?.[Symbol.dispose]();
    try {
      await this.#subscriptions.settle();
      if (this.#gap && this.#masters.isWhole && !this.#subscriptions.isMisplaced) {
        this.#gap = false;
        this.#observer?.onGeneration(++this.#generation);
      }
    } catch (error) {
      this.#deps.logger.warn({ err: error }, "not all presences that are watched are heard of");
    }
    this.#settling = false;
    if (this.#gap && !this.#closed)
      this.#settleTimer = this.#deps.clock.schedule(SETTLE_AGAIN_MS, () => void this.#settle());
  }

  #complain(error: unknown): void {
    const { clock, logger } = this.#deps;
    if (clock.monotonic() - this.#complainedAt < COMPLAIN_EVERY_MS) return;
    this.#complainedAt = clock.monotonic();
    logger.warn({ err: error }, "a presence could not be set in Redis");
  }
}

/**
 * What is in force of a record. That of a user who may not sign in is ended, by a record that is newer than what there is: the end of
 * the presence may not have reached Redis, or a change that was under way may have come after it.
 */
function shownOf({ isSuspended }: RegisteredUser, record: PresenceRecord | undefined): PresenceRecord | undefined {
  if (!isSuspended || !record || record.steps.length === 0) return record;
  const revision = record.revision + 1;
  return { revision, setAt: revision, since: revision, steps: [] };
}

const unavailable = (cause: unknown): MusterError =>
  new MusterError("STORAGE_UNAVAILABLE", { retryAfterMs: 1_000, cause });
