import { randomInt } from "node:crypto";
import type { Clock } from "../clock.ts";
import { isShuttingDown, MusterError } from "../errors.ts";
import type { Micros } from "./chain.ts";
import type { Subject } from "./engine.ts";
import type { Hub } from "./hub.ts";
import { Mailbox } from "./mailbox.ts";
import { createResumeToken } from "./resume-token.ts";
import type { ProjectDefaults } from "./subjects.ts";
import { type UserPresence, userPresenceIn } from "./user-presence.ts";
import type { WatchedUser } from "./watched-user.ts";

/** What a stream says. */
export type WatchEvent =
  | { readonly kind: "opened"; readonly watchId: string; readonly resumed: boolean }
  | { readonly kind: "update"; readonly presences: readonly UserPresence[] }
  | { readonly kind: "snapshotComplete" }
  | { readonly kind: "heartbeat"; readonly stale: boolean }
  | { readonly kind: "userDeleted"; readonly userId: string }
  | { readonly kind: "resync"; readonly why: string }
  | { readonly kind: "goodbye"; readonly reconnectAfterMs: number };

/** One message of a stream. */
export interface WatchMessage {
  /** Empty until the snapshot is complete. */
  readonly resumeToken: Uint8Array;
  /** The engine's clock; unset only before anything was read. */
  readonly serverTime: Micros | undefined;
  readonly event: WatchEvent;
}

/** What ends a stream from outside. Each stream has its own, so that none collects thousands of listeners. */
export interface WatchSignals {
  /** The caller has left. */
  readonly left: AbortSignal;
  /** The server ends the stream; the reason is what it fails with. */
  readonly ended: AbortSignal;
}

export interface WatchStreamDeps {
  readonly hub: Hub;
  readonly clock: Clock;
  readonly projects: ProjectDefaults;
}

export interface WatchStreamInput {
  readonly watchId: string;
  readonly projectId: string;
  readonly subjects: readonly Subject[];
  /** External ids that belong to nobody: shown once, as if never set. */
  readonly unknownExternalIds: readonly string[];
  readonly minIntervalMs: number;
}

const HEARTBEAT_MS = 20_000;
/** A reader that accepts nothing for this long is let go. */
const STALLED_MS = 60_000;
/** For how long the last values are good enough while the engine is out of reach. */
const STALE_MS = 60_000;
const RECONNECT_MS = { least: 200, most: 5_000 };
/** Presences in one message: together less than 1 MiB. */
const MOST_PRESENCES = 200;

/**
 * One reader's stream, pulled message by message. It holds nothing back for a slow reader: what to say is decided when the
 * reader asks for more, by how things are then. All it holds in the hub it lets go by `close`, which every end leads to.
 */
export class WatchStream {
  readonly #deps: WatchStreamDeps;
  readonly #input: WatchStreamInput;
  readonly #signals: WatchSignals;
  readonly #mailbox: Mailbox;
  readonly #users: Set<WatchedUser>;
  /** Users whose state has not been sent since the snapshot began. */
  #unsent: Set<WatchedUser>;
  #unknown: readonly string[];
  #deleted: string[] = [];
  #phase: "new" | "snapshot" | "live" = "new";
  #saidGoodbye = false;
  #failure: MusterError | undefined;
  #lastSentAt = 0;
  #lastUpdateAt = Number.NEGATIVE_INFINITY;
  #token: Uint8Array = new Uint8Array();
  #stall: Disposable | undefined;

  constructor(deps: WatchStreamDeps, input: WatchStreamInput, signals: WatchSignals) {
    this.#deps = deps;
    this.#input = input;
    this.#signals = signals;
    this.#mailbox = new Mailbox(deps.clock);
    signals.left.addEventListener("abort", this.close, { once: true });
    signals.ended.addEventListener("abort", this.close, { once: true });
    this.#users = new Set(input.subjects.map((subject) => deps.hub.join(subject, this.#mailbox)));
    this.#unsent = new Set(this.#users);
    this.#unknown = input.unknownExternalIds;
  }

  /**
   * The next message, when there is one.
   * @throws READER_STALLED, STORAGE_UNAVAILABLE, or the reason of the signal that ended it; before SHUTTING_DOWN it says goodbye
   */
  async next(): Promise<WatchMessage> {
    this.#stall?.[Symbol.dispose]();
    for (;;) {
      this.#throwIfOver();
      const event = await this.#event();
      // What ended meanwhile says nothing more.
      this.#throwIfOver();
      if (event) return this.#message(event);
      await this.#mailbox.wait(this.#patience());
    }
  }

  /** Lets go of everything. A reader that comes back for more is told why there is none. */
  readonly close = (): void => {
    const { left, ended } = this.#signals;
    left.removeEventListener("abort", this.close);
    ended.removeEventListener("abort", this.close);
    this.#stall?.[Symbol.dispose]();
    for (const user of this.#users) this.#deps.hub.leave(user, this.#mailbox);
    this.#users.clear();
    this.#unsent.clear();
    this.#mailbox.dirty.clear();
    this.#mailbox.ring();
  };

  #throwIfOver(): void {
    const { left, ended } = this.#signals;
    left.throwIfAborted();
    if (this.#failure) throw this.#failure;
    if (this.#saidGoodbye) throw ended.reason;
    if (ended.aborted) {
      if (isShuttingDown(ended.reason)) return;
      throw ended.reason;
    }
    if (this.#deps.hub.staleFor >= STALE_MS) throw new MusterError("STORAGE_UNAVAILABLE", { retryAfterMs: 1_000 });
  }

  async #event(): Promise<WatchEvent | undefined> {
    if (this.#signals.ended.aborted) {
      return { kind: "goodbye", reconnectAfterMs: randomInt(RECONNECT_MS.least, RECONNECT_MS.most) };
    }
    if (this.#phase === "new") {
      this.#phase = "snapshot";
      return { kind: "opened", watchId: this.#input.watchId, resumed: false };
    }
    if (this.#mailbox.rolledBack) return this.#resync();
    const presences = this.#mayUpdate() ? await this.#takePresences() : [];
    if (presences.length > 0) return { kind: "update", presences };
    const userId = this.#deleted.shift();
    if (userId !== undefined) return { kind: "userDeleted", userId };
    if (this.#phase === "snapshot" && this.#unsent.size === 0) {
      this.#phase = "live";
      return { kind: "snapshotComplete" };
    }
    if (this.#deps.clock.monotonic() - this.#lastSentAt < HEARTBEAT_MS) return undefined;
    return { kind: "heartbeat", stale: this.#deps.hub.staleFor > 0 };
  }

  #resync(): WatchEvent {
    this.#mailbox.rolledBack = false;
    this.#phase = "snapshot";
    this.#unsent = new Set(this.#users);
    for (const user of this.#users) if (user.state !== "loading") this.#mailbox.dirty.add(user);
    return { kind: "resync", why: "the store lost its latest changes" };
  }

  #mayUpdate(): boolean {
    if (this.#phase === "snapshot") return true;
    return this.#deps.clock.monotonic() - this.#lastUpdateAt >= this.#input.minIntervalMs;
  }

  async #takePresences(): Promise<UserPresence[]> {
    if (this.#mailbox.dirty.size + this.#unknown.length === 0) return [];
    const { settings } = await this.#deps.projects.get(this.#input.projectId);
    const presences: UserPresence[] = this.#unknown
      .slice(0, MOST_PRESENCES)
      .map((externalId) => ({ userId: "", externalId, status: settings.defaultPresence, revision: 0, step: 0 }));
    this.#unknown = this.#unknown.slice(presences.length);
    for (const user of this.#mailbox.dirty) {
      if (presences.length >= MOST_PRESENCES) break;
      this.#mailbox.dirty.delete(user);
      if (!this.#users.has(user)) continue;
      this.#unsent.delete(user);
      if (user.state === "deleted") this.#forget(user);
      else presences.push(this.#presence(user, settings.defaultPresence));
    }
    return presences;
  }

  #presence({ subject, known, record, span }: WatchedUser, defaultStatus: string): UserPresence {
    return userPresenceIn(subject.userId, known && { ...known, record }, span, defaultStatus);
  }

  #forget(user: WatchedUser): void {
    this.#users.delete(user);
    this.#deleted.push(user.subject.userId);
    this.#deps.hub.leave(user, this.#mailbox);
  }

  #message(event: WatchEvent): WatchMessage {
    const { clock, hub } = this.#deps;
    this.#lastSentAt = clock.monotonic();
    this.#saidGoodbye = event.kind === "goodbye";
    if (event.kind === "update") this.#lastUpdateAt = this.#lastSentAt;
    const serverTime = hub.now;
    const upToDate = this.#phase === "live" && this.#mailbox.dirty.size + this.#deleted.length === 0;
    if (serverTime !== undefined && upToDate && hub.staleFor === 0)
      this.#token = createResumeToken(this.#input.projectId, serverTime);
    this.#stall = clock.schedule(STALLED_MS, () => {
      this.#failure = new MusterError("READER_STALLED");
      this.close();
    });
    return { resumeToken: this.#token, serverTime, event };
  }

  /** For how long there is nothing to say if nothing comes. */
  #patience(): number {
    const now = this.#deps.clock.monotonic();
    const waits = [this.#lastSentAt + HEARTBEAT_MS - now];
    if (this.#mailbox.dirty.size > 0) waits.push(this.#lastUpdateAt + this.#input.minIntervalMs - now);
    return Math.min(...waits);
  }
}
