import type { Micros } from "./chain.ts";
import type { PresenceRecord, Span } from "./effective-presence.ts";
import { spanAt } from "./effective-presence.ts";
import { type KnownUser, keyOf, type Subject } from "./engine.ts";
import { hash48 } from "./hash48.ts";
import { type UserPresence, userPresenceIn } from "./user-presence.ts";

/** One that is told what happens to users it watches. Only that something did: what, is read from the user. */
export interface UserWatcher {
  /** The user's presence is another one, known for the first time, or the user is gone. */
  onChange(user: WatchedUser): void;
  /** The engine lost what was told of before; `onChange` follows for each user concerned. */
  onRollback(): void;
}

/**
 * What is known of a user that somebody watches: `loading`, nothing yet; `missing`, there never was one as far as we saw;
 * `deleted`, there was one.
 */
export type UserState = "loading" | "known" | "missing" | "deleted";

/** A presence, and what it was made of. */
interface Told extends Pick<WatchedUser, "known" | "record" | "span"> {
  readonly defaultStatus: string;
  readonly presence: UserPresence;
}

/** A user that somebody watches, as last seen. */
export class WatchedUser {
  readonly subject: Subject;
  readonly key: string;
  /** What stands for it in resume tokens. */
  readonly hash: number;
  /** Its place in the heap of deadlines. */
  readonly slot: number;
  readonly watchers = new Set<UserWatcher>();
  state: UserState = "loading";
  known: KnownUser | undefined;
  record: PresenceRecord | undefined;
  /** The link of the record that was announced. */
  span: Span = spanAt(undefined, 0);
  /** When it was last brought up to date, on the hub's own count of events. */
  updatedAt = 0;
  /** The greatest revision that may have been announced. */
  highest = 0;
  /** When the latest read of it began, on the same count. */
  readAt = 0;
  /** Those that are told when it has been read again, whatever comes of that; unset: nobody. */
  waiting: Set<UserWatcher> | undefined;
  /** The engine's clock at the latest read that says so, and in which of the histories that the hub has seen. */
  confirmedAt: Micros = Number.NEGATIVE_INFINITY;
  epoch = 0;
  #told: Told | undefined;
  #state: { readonly since: number; readonly step: number; readonly hash: number } | undefined;
  /** When it is to be read again whatever happens, and when to be dropped, in milliseconds of the monotonic clock. */
  reconcileAt = Number.POSITIVE_INFINITY;
  dropAt = Number.POSITIVE_INFINITY;

  constructor(subject: Subject, slot: number) {
    this.subject = subject;
    this.key = keyOf(subject);
    this.hash = hash48(this.key);
    this.slot = slot;
  }

  /** Stands for its state in resume tokens. A refresh does not make it another one. */
  get stateHash(): number {
    const since = this.record?.since ?? 0;
    const { step } = this.span;
    if (this.#state?.since !== since || this.#state.step !== step)
      this.#state = { since, step, hash: hash48(`${this.key} ${since} ${step}`) };
    return this.#state.hash;
  }

  /** What is announced of it: the same object for everybody until it changes. `defaultStatus` is that of its project. */
  presence(defaultStatus: string): UserPresence {
    const { known, record, span } = this;
    const told = this.#told;
    if (
      told &&
      told.known === known &&
      told.record === record &&
      told.span === span &&
      told.defaultStatus === defaultStatus
    )
      return told.presence;
    const presence = userPresenceIn(this.subject.userId, known && { ...known, record }, span, defaultStatus);
    this.#told = { known, record, span, defaultStatus, presence };
    return presence;
  }

  /** Takes a record in, at `time` on the engine's clock. Gives whether watchers see a difference: a refresh is none. */
  take(record: PresenceRecord | undefined, time: number): boolean {
    const before = { since: this.record?.since, step: this.span.step };
    // Where the engine's clock was set back, a link that was left does not come again.
    const from = record?.revision === this.record?.revision ? Math.max(time, this.span.start) : time;
    this.record = record;
    this.span = spanAt(record, from);
    return record?.since !== before.since || this.span.step !== before.step;
  }
}
