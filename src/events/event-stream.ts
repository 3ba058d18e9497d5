import { randomInt } from "node:crypto";
import { Bell } from "../bell.ts";
import { isShuttingDown, MusterError } from "../errors.ts";
import { createEventCursor, type EventPosition, positionOf, readEventCursor } from "./event-cursor.ts";
import type { FollowedTail } from "./event-feed.ts";
import { isWanted } from "./event-types.ts";
import type { StoredEvent } from "./read-events.ts";
import { readHead, readHistory } from "./read-history.ts";
import type { EventNews, EventNewsMessage, WatchEventsInput, WatchEventsPorts, WatchSignals } from "./watch-events.ts";

const HEARTBEAT_MS = 20_000;
/** A reader that accepts nothing for this long is let go. */
const STALLED_MS = 60_000;
/** For how long a stream goes on that cannot tell what happens. */
const STALE_MS = 60_000;
/** From when on events that are not settled are said to be held up. */
const HELD_MS = 5_000;
const RETRY_MS = 500;
const RECONNECT_MS = { least: 200, most: 5_000 };
const PAGE = 100;

/**
 * One reader's stream, pulled message by message. It has a position of its own and takes what is behind it when the reader asks for more: from the
 * project's tail, which all streams share, or where that does not go back so far from the database. A slow reader makes the server keep a
 * page at most.
 */
export class EventStream {
  readonly #ports: WatchEventsPorts;
  readonly #input: WatchEventsInput;
  readonly #signals: WatchSignals;
  readonly #bell: Bell;
  readonly #followed: FollowedTail;
  /** Up to where it has read; undefined: nowhere yet. */
  #position: EventPosition | undefined;
  /** The generation of the tail in which the position was found to be one of the history. */
  #foundIn: number | undefined;
  /** Read, wanted, and not yet sent. */
  #page: StoredEvent[] = [];
  /** Up to where the reader has been told. */
  #told: EventPosition | undefined;
  /** Whether there may be something behind the position. */
  #due = true;
  #retryAt = Number.NEGATIVE_INFINITY;
  #live = false;
  #saidGoodbye = false;
  #failure: MusterError | undefined;
  #lastSentAt: number;
  #stall: Disposable | undefined;

  /** REQUEST_INVALID for a cursor that is none of the project. */
  constructor(ports: WatchEventsPorts, input: WatchEventsInput, signals: WatchSignals) {
    this.#position = readEventCursor(ports.pageTokens, input.projectId, input.cursor, "cursor");
    this.#told = this.#position;
    this.#ports = ports;
    this.#input = input;
    this.#signals = signals;
    this.#bell = new Bell(ports.clock);
    this.#lastSentAt = ports.clock.monotonic();
    this.#followed = ports.eventFeed.follow(input.projectId, () => {
      this.#due = true;
      this.#bell.ring();
    });
    signals.left.addEventListener("abort", this.close, { once: true });
    signals.ended.addEventListener("abort", this.close, { once: true });
  }

  async next(): Promise<EventNewsMessage> {
    this.#stall?.[Symbol.dispose]();
    for (;;) {
      this.#throwIfOver();
      const news = await this.#news();
      // What ended meanwhile says nothing more.
      this.#throwIfOver();
      if (news) return this.#message(news);
      await this.#bell.wait(this.#patience());
    }
  }

  /** Lets go of everything. A reader that comes back for more is told why there is none. */
  readonly close = (): void => {
    const { left, ended } = this.#signals;
    left.removeEventListener("abort", this.close);
    ended.removeEventListener("abort", this.close);
    this.#followed[Symbol.dispose]();
    this.#stall?.[Symbol.dispose]();
    this.#page = [];
    this.#bell.ring();
  };

  #throwIfOver(): void {
    const { left, ended } = this.#signals;
    left.throwIfAborted();
    if (this.#failure) throw this.#failure;
    if (ended.aborted && (this.#saidGoodbye || !isShuttingDown(ended.reason))) throw ended.reason;
    if (ended.aborted) return;
    if (this.#followed.tail.staleFor >= STALE_MS) throw new MusterError("STORAGE_UNAVAILABLE", { retryAfterMs: 1_000 });
  }

  async #news(): Promise<EventNews | undefined> {
    const { clock } = this.#ports;
    if (this.#signals.ended.aborted)
      return { kind: "goodbye", reconnectAfterMs: randomInt(RECONNECT_MS.least, RECONNECT_MS.most) };
    while (this.#page.length === 0 && this.#due && clock.monotonic() >= this.#retryAt) await this.#read();
    const event = this.#page.shift();
    if (event) {
      this.#told = positionOf(event);
      return { kind: "event", event };
    }
    this.#told = this.#position;
    if (!this.#live && !this.#due) {
      this.#live = true;
      return { kind: "snapshotComplete" };
    }
    if (clock.monotonic() - this.#lastSentAt < HEARTBEAT_MS) return undefined;
    const { staleFor, heldFor } = this.#followed.tail;
    return { kind: "heartbeat", stale: this.#due || staleFor > 0 || heldFor >= HELD_MS };
  }

  /** Takes the next page in. Live, the database may be away for a while. */
  async #read(): Promise<void> {
    const { clock } = this.#ports;
    // What is told while this reads may be too late for it.
    this.#due = false;
    try {
      if (!this.#takeFromTail()) await this.#readByItself();
    } catch (error) {
      this.#due = true;
      this.#retryAt = clock.monotonic() + RETRY_MS;
      const away = error instanceof MusterError && error.reason === "STORAGE_UNAVAILABLE";
      if (!this.#live || !away) throw error;
    }
  }

  /** Whether the tail, in which the position has its place, goes back to it. */
  #takeFromTail(): boolean {
    const { tail } = this.#followed;
    const { types, userId } = this.#input;
    if (!this.#position || this.#foundIn !== tail.generation) return false;
    const found = tail.after(this.#position, PAGE);
    const last = found?.events.at(-1);
    if (!found) return false;
    this.#page = found.events.filter(
      (event) => isWanted(types, event.type) && (userId === undefined || event.userId === userId),
    );
    if (last) this.#position = positionOf(last);
    this.#due ||= found.more;
    return true;
  }

  async #readByItself(): Promise<void> {
    const { db } = this.#ports;
    const { tail } = this.#followed;
    const { projectId, fromOldest, ...filter } = this.#input;
    const scope = { projectId, signal: this.#signals.left };
    const { generation } = tail;
    if (!this.#position && !fromOldest) {
      this.#position = await readHead(db, scope);
      this.#foundIn = generation;
      return;
    }
    const { events, next, more } = await readHistory(db, scope, this.#position, filter, PAGE);
    this.#page = [...events];
    this.#position = next;
    this.#foundIn = generation;
    this.#due ||= more;
  }

  #message(news: EventNews): EventNewsMessage {
    const { clock, pageTokens } = this.#ports;
    this.#lastSentAt = clock.monotonic();
    this.#saidGoodbye = news.kind === "goodbye";
    this.#stall = clock.schedule(STALLED_MS, () => {
      this.#failure = new MusterError("READER_STALLED");
      this.close();
    });
    return { cursor: this.#told ? createEventCursor(pageTokens, this.#input.projectId, this.#told) : "", news };
  }

  /** For how long there is nothing to say if nothing comes. */
  #patience(): number {
    const now = this.#ports.clock.monotonic();
    const heartbeat = this.#lastSentAt + HEARTBEAT_MS - now;
    return this.#due ? Math.min(heartbeat, this.#retryAt - now) : heartbeat;
  }
}
