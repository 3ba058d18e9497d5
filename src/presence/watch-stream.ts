import { randomInt } from "node:crypto";
import { Alarm } from "../alarm.ts";
import type { Clock } from "../clock.ts";
import { isShuttingDown, MusterError } from "../errors.ts";
import type { StreamSignals } from "../pulled-stream.ts";
import { Mailbox } from "./mailbox.ts";
import type { OpenWatch, OpenWatches } from "./open-watches.ts";
import { canResume } from "./resume.ts";
import { type ResumePoint, readResumeToken } from "./resume-token.ts";
import type { ProjectDefaults } from "./subjects.ts";
import type { UserPresence } from "./user-presence.ts";
import type { WatchOwner } from "./watch-change.ts";
import type { WatchEvent, WatchMessage } from "./watch-event.ts";
import { WatchList, type WatchListDeps } from "./watch-list.ts";
import type { WatchTargets } from "./watch-targets.ts";

export interface WatchStreamDeps extends WatchListDeps {
  readonly clock: Clock;
  readonly projects: ProjectDefaults;
  /** Where the stream is found as long as it is open. */
  readonly open: OpenWatches;
}

export interface WatchStreamInput {
  readonly watchId: string;
  readonly owner: WatchOwner;
  readonly targets: WatchTargets;
  /** Where an earlier stream came to; empty: nowhere. */
  readonly resumeToken: Uint8Array;
  readonly minIntervalMs: number;
}

const HEARTBEAT_MS = 20_000;
/** A reader that accepts nothing for this long is let go. */
const STALLED_MS = 60_000;
/** For how long the last values are good enough while the engine is out of reach. */
const STALE_MS = 60_000;
const RECONNECT_MS = { least: 200, most: 5_000 };
/** How old what a resume token says may become. */
const CONFIRM_MS = 10_000;

/**
 * One reader's stream, pulled message by message. It holds nothing back for a slow reader: what to say is decided when the
 * reader asks for more, by how things are then. All it holds in the hub it lets go by `close`, which every end leads to.
 */
export class WatchStream implements OpenWatch {
  readonly watchId: string;
  readonly owner: WatchOwner;
  readonly #deps: WatchStreamDeps;
  readonly #input: WatchStreamInput;
  readonly #signals: StreamSignals;
  readonly #mailbox: Mailbox;
  readonly #list: WatchList;
  #phase: "new" | "snapshot" | "live" = "new";
  /** What the stream goes on from, until it is up to date. */
  #resuming: ResumePoint | undefined;
  #saidGoodbye = false;
  #failure: MusterError | undefined;
  #lastSentAt: number;
  #lastUpdateAt = Number.NEGATIVE_INFINITY;
  #confirmedAt = Number.NEGATIVE_INFINITY;
  #defaultStatus = "";
  /** Rings when there is something to say though nothing has come, or the reader has stalled. */
  readonly #alarm: Alarm;
  /** Whether it is the reader's turn. */
  #isSent = false;

  constructor(deps: WatchStreamDeps, input: WatchStreamInput, signals: StreamSignals) {
    this.watchId = input.watchId;
    this.owner = input.owner;
    this.#deps = deps;
    this.#input = input;
    this.#signals = signals;
    this.#mailbox = new Mailbox(deps.clock);
    this.#alarm = new Alarm(deps.clock, () => this.#onTime());
    this.#lastSentAt = deps.clock.monotonic();
    signals.left.addEventListener("abort", this.close, { once: true });
    signals.ended.addEventListener("abort", this.close, { once: true });
    this.#list = new WatchList(deps, input.owner.projectId, input.targets, this.#mailbox);
    this.#resuming = readResumeToken(input.resumeToken);
    deps.open.add(this);
  }

  /**
   * The next message, when there is one.
   * @throws READER_STALLED, STORAGE_UNAVAILABLE, or the reason of the signal that ended it; before SHUTTING_DOWN it says goodbye
   */
  async next(): Promise<WatchMessage> {
    this.#isSent = false;
    for (;;) {
      this.#throwIfOver();
      const event = await this.#event();
      // What ended meanwhile says nothing more.
      this.#throwIfOver();
      if (event) return this.#message(event);
      this.#alarm.set(this.#deps.clock.monotonic() + this.#patience());
      await this.#mailbox.wait();
    }
  }

  /**
   * Takes users off the list, then adds others, of whom is then told how things are.
   * @throws REQUEST_INVALID
   */
  change(add: WatchTargets, remove: WatchTargets): void {
    this.#list.change(add, remove);
  }

  /** Lets go of everything. A reader that comes back for more is told why there is none. */
  readonly close = (): void => {
    const { left, ended } = this.#signals;
    left.removeEventListener("abort", this.close);
    ended.removeEventListener("abort", this.close);
    this.#alarm[Symbol.dispose]();
    this.#list.close();
    this.#deps.open.delete(this);
    this.#mailbox.ring();
    this.#signals.onOver?.();
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
    if (this.#phase === "new") return this.#open();
    if (this.#mailbox.rolledBack || this.#list.isRolledBack) return this.#resync();
    if (this.#list.isDirty && this.#mayUpdate()) {
      const presences = await this.#takePresences();
      if (presences.length > 0) return { kind: "update", presences };
    }
    if (this.#list.isRolledBack) return this.#resync();
    const userId = this.#list.takeDeleted();
    if (userId !== undefined) return { kind: "userDeleted", userId };
    if (this.#phase === "snapshot" && this.#list.isTold) {
      this.#phase = "live";
      this.#resuming = undefined;
      this.#list.finish();
      return { kind: "snapshotComplete" };
    }
    if (this.#deps.clock.monotonic() - this.#lastSentAt < HEARTBEAT_MS) return undefined;
    return { kind: "heartbeat", stale: this.#deps.hub.staleFor > 0 };
  }

  /** Which store it is that a token has to be of, shows with the first read. */
  async #open(): Promise<WatchEvent | undefined> {
    const { hub } = this.#deps;
    const waited = this.#deps.clock.monotonic() - this.#lastSentAt;
    const isUnseen = hub.identity === undefined && hub.staleFor === 0 && !this.#list.isEmpty;
    if (this.#resuming && isUnseen && waited < HEARTBEAT_MS) return undefined;
    const defaultStatus = await this.#readDefault();
    this.#phase = "snapshot";
    if (this.#resuming && !canResume(this.#resuming, hub, this.owner.projectId, defaultStatus))
      this.#resuming = undefined;
    if (this.#resuming) this.#list.resume(this.#resuming);
    return { kind: "opened", watchId: this.watchId, resumed: this.#resuming !== undefined };
  }

  #resync(): WatchEvent {
    this.#mailbox.rolledBack = false;
    this.#phase = "snapshot";
    this.#resuming = undefined;
    this.#list.restart();
    return { kind: "resync", why: "the store lost its latest changes" };
  }

  #mayUpdate(): boolean {
    if (this.#phase === "snapshot") return true;
    return this.#deps.clock.monotonic() - this.#lastUpdateAt >= this.#input.minIntervalMs;
  }

  async #takePresences(): Promise<UserPresence[]> {
    const defaultStatus = await this.#readDefault();
    const { gone } = this.#list;
    if (gone.length > 0) await this.#list.lookUp(gone);
    return this.#list.take(defaultStatus);
  }

  async #readDefault(): Promise<string> {
    const { settings } = await this.#deps.projects.get(this.owner.projectId);
    this.#defaultStatus = settings.defaultPresence;
    return this.#defaultStatus;
  }

  #message(event: WatchEvent): WatchMessage {
    const { clock, hub } = this.#deps;
    this.#lastSentAt = clock.monotonic();
    this.#saidGoodbye = event.kind === "goodbye";
    if (event.kind === "update") this.#lastUpdateAt = this.#lastSentAt;
    if (this.#phase === "live") this.#confirm();
    this.#isSent = true;
    this.#alarm.set(this.#lastSentAt + STALLED_MS);
    return { resumeToken: this.#list.token, serverTime: hub.now, event };
  }

  #confirm(): void {
    const isDue = !this.#list.isConfirmed || this.#lastSentAt - this.#confirmedAt >= CONFIRM_MS;
    if (!isDue || this.#deps.hub.staleFor > 0) return;
    this.#confirmedAt = this.#lastSentAt;
    this.#list.confirm(this.#defaultStatus);
  }

  #onTime(): void {
    if (!this.#isSent) return this.#mailbox.ring();
    this.#failure = new MusterError("READER_STALLED");
    this.close();
  }

  /** For how long there is nothing to say if nothing comes. */
  #patience(): number {
    const now = this.#deps.clock.monotonic();
    const waits = [this.#lastSentAt + HEARTBEAT_MS - now];
    if (this.#list.isDirty) waits.push(this.#lastUpdateAt + this.#input.minIntervalMs - now);
    return Math.min(...waits);
  }
}
