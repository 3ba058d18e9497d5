import type { Chain, Micros } from "./chain.ts";
import type { PresenceRecord } from "./effective-presence.ts";

/** A user by its project. The project comes first everywhere: an id of another project names nobody. */
export interface Subject {
  readonly projectId: string;
  readonly userId: string;
}

/** One text for a subject: the key of maps. */
export const keyOf = ({ projectId, userId }: Subject): string => `${projectId}/${userId}`;

/** What the engine knows of a user that exists. */
export interface KnownUser {
  readonly externalId: string;
  /** When the user last called, milliseconds since the epoch. */
  readonly lastActiveAt: number | undefined;
  /** What was last set; unset: never. */
  readonly record: PresenceRecord | undefined;
}

/** A chain to set for a user. */
export interface Change {
  readonly subject: Subject;
  readonly chain: Chain;
}

/**
 * What came of a change. `busy`: another transaction holds the user, whose outcome decides whether it exists; try again.
 * `suspended`: the user may not sign in, and so has no presence but the end of one.
 * `unavailable`: the part of the store that has the user cannot be reached; whether it was set is not known.
 */
export type Outcome =
  | (KnownUser & { readonly record: PresenceRecord })
  | "busy"
  | "no such user"
  | "suspended"
  | "unavailable";

/** The answer to a batch of changes. */
export interface Written {
  /** The engine's clock after the changes. */
  readonly now: Micros;
  /** One for each change, in their order. */
  readonly outcomes: readonly Outcome[];
}

/** The answer to a read. */
export interface Reading {
  /** The engine's clock when it was read. */
  readonly now: Micros;
  /** The engine's generation when the read began. */
  readonly generation: number;
  /**
   * Names the store and its history: another one after a failover that may have lost changes, the same on all servers and after their
   * restart. What a reader was told in one history says nothing about another.
   */
  readonly identity: string;
  /** One for each subject, in their order; undefined: no such user. */
  readonly users: readonly (KnownUser | undefined)[];
}

/** One user whose chain may not be over. */
export interface ScannedUser {
  readonly userId: string;
  readonly record: PresenceRecord;
  /** What the scan goes on from after this user. */
  readonly position: string;
}

/** Some of the users of a project. */
export interface ScanPage {
  /** The engine's clock when it was read. */
  readonly now: Micros;
  readonly users: readonly ScannedUser[];
  /** What to go on from; unset: that was all. A page may hold few users, or none, and not be the last. */
  readonly next: string | undefined;
}

/** What an engine tells of by itself. Any of it may come late, twice or not at all. */
export interface EngineObserver {
  /** Somebody's presence was set; without a record, or when the user may be gone, it has to be read. */
  onChange(subject: Subject, record: PresenceRecord | undefined): void;
  /** From here on changes may be missed, until `onGeneration`. */
  onGap(): void;
  /** The engine is back after a gap, maybe without its latest changes: what is known of it has to be read again. */
  onGeneration(generation: number): void;
}

/** Where presences are kept, and whose clock decides what is in force. */
export interface PresenceEngine extends AsyncDisposable {
  /**
   * Sets presences, each user at most once in a batch of at most 500. A revision is greater than the user's last one.
   * Setting an equal chain again while its first step lasts only moves the deadline, and nobody is told.
   * @throws STORAGE_UNAVAILABLE
   */
  set(changes: readonly Change[]): Promise<Written>;
  /**
   * Reads at most 500 users, from where they are written.
   * @throws STORAGE_UNAVAILABLE
   */
  get(subjects: readonly Subject[], signal?: AbortSignal): Promise<Reading>;
  /** Resolves when every change committed from then on is told to the observer. */
  subscribe(subjects: readonly Subject[]): Promise<void>;
  unsubscribe(subjects: readonly Subject[]): void;
  /** Sets the one that is told. */
  observe(observer: EngineObserver): void;
  /**
   * Reads a project's users, in an order of the engine's own, from `after` on (empty: the first): looks at `limit` of them at most, and gives
   * those whose chains are not over. Over all pages each user that is there throughout is given exactly once; some whose chains are over
   * may be, and some that are deleted. Unset: the users are read one after the other by `get`.
   * @throws STORAGE_UNAVAILABLE
   */
  scan?(projectId: string, after: string, limit: number, signal?: AbortSignal): Promise<ScanPage>;
  /**
   * Counts a project's users by the status in force, those whose chains are over left out. Unset: they are counted by a scan.
   * @throws STORAGE_UNAVAILABLE
   */
  count?(projectId: string): Promise<{ readonly now: Micros; readonly counts: ReadonlyMap<string, number> }>;
  /** Tells all observers that a user may be gone. At once, without waiting for it to be told. */
  announceDeletion(subject: Subject): void;
  /**
   * What is kept of a user, whether or not there is one; unset: it is kept in the database, beside the user.
   * @throws STORAGE_UNAVAILABLE
   */
  recordOf?(subject: Subject): Promise<PresenceRecord | undefined>;
  /**
   * Removes what is left of users that are gone; unset: the store never has any. Breaks off once the signal aborts.
   * @throws STORAGE_UNAVAILABLE
   */
  sweep?(signal: AbortSignal): Promise<void>;
}

/** The most users in one read or one batch of changes. */
export const MAX_BATCH = 500;
