import type { Clock } from "../clock.ts";
import { answerWithin } from "../db/answer-within.ts";
import type { Database } from "../db/orm.ts";
import { MusterError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { comparePlaces, type EventPosition, positionOf, sizeOf } from "./event-cursor.ts";
import { EVERY_TYPE } from "./event-types.ts";
import type { StoredEvent } from "./read-events.ts";
import { readHead, readHistory } from "./read-history.ts";

export interface TailPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How often a tail looks whatever happens, and the least time between two looks. */
const POLL_MS = 1_000;
const LEAST_MS = 10;
/** How soon it looks again for events that are there and not settled: 10 ms, longer each time that this was too soon. */
const MOST_PENDING_MS = 250;
const PAGE = 100;
/** A look that takes longer is given up for lost. */
const LOST_MS = 5_000;
/** What is kept for those who read a little behind: the latest events, and no more characters of data than that. */
const KEPT = { events: 1_000, characters: 4_000_000 };

/**
 * The latest settled events of one project, read once for all in this process that watch it: at a hint, each second whatever becomes of
 * hints, and soon again where an event is committed but not settled.
 */
export class EventTail {
  /** Another one: what was read before may be no part of the history any more. */
  generation = 0;
  readonly #ports: TailPorts;
  readonly #scope: { readonly projectId: string };
  readonly #readers = new Set<() => void>();
  /** `recent` are all events behind `#start`, up to `#end`. */
  readonly #recent: { readonly event: StoredEvent; readonly size: number }[] = [];
  #characters = 0;
  #start: EventPosition | undefined;
  #end: EventPosition | undefined;
  #timer: Disposable | undefined;
  #reading = false;
  #again = false;
  #closed = false;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #upToDateAt: number;
  #failed = false;
  #pendingMs = LEAST_MS;
  /** Since when events wait to be settled, none of which has been. */
  #heldSince: number | undefined;

  constructor(ports: TailPorts, projectId: string) {
    this.#ports = ports;
    this.#scope = { projectId };
    this.#upToDateAt = ports.clock.monotonic();
  }

  /** For how long it has not been able to look, in milliseconds; 0: it is up to date. */
  get staleFor(): number {
    return this.#failed ? Math.max(this.#ports.clock.monotonic() - this.#upToDateAt, 1) : 0;
  }

  /** For how long events have been there that cannot be told, as some transaction goes on, in milliseconds. */
  get heldFor(): number {
    return this.#heldSince === undefined ? 0 : this.#ports.clock.monotonic() - this.#heldSince;
  }

  get followed(): boolean {
    return this.#readers.size > 0;
  }

  /** Has `onNews` called whenever there is something new. */
  follow(onNews: () => void): Disposable {
    this.#readers.add(onNews);
    return { [Symbol.dispose]: () => void this.#readers.delete(onNews) };
  }

  /** Some events behind a position, in order, and whether there are more; undefined: it does not go back that far. */
  after(position: EventPosition, limit: number): { events: StoredEvent[]; more: boolean } | undefined {
    if (!this.#start || comparePlaces(position, this.#start) < 0) return undefined;
    let [from, to] = [0, this.#recent.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (comparePlaces((this.#recent[middle] as { event: StoredEvent }).event.cursor, position) > 0) to = middle;
      else from = middle + 1;
    }
    const events = this.#recent.slice(from, from + limit).map(({ event }) => event);
    return { events, more: from + limit < this.#recent.length };
  }

  /** Has it look as soon as may be. */
  wake(): void {
    if (this.#closed) return;
    if (this.#reading) this.#again = true;
    else this.#lookIn(Math.max(0, this.#lookedAt + LEAST_MS - this.#ports.clock.monotonic()));
  }

  close(): void {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
    this.#recent.length = 0;
  }

  #lookIn(ms: number): void {
    this.#timer?.[Symbol.dispose]();
    if (!this.#closed) this.#timer = this.#ports.clock.schedule(ms, () => void this.#look());
  }

  async #look(): Promise<void> {
    const { clock, logger } = this.#ports;
    this.#reading = true;
    this.#again = false;
    this.#lookedAt = clock.monotonic();
    let restMs = POLL_MS;
    try {
      if (await this.#readOn()) restMs = this.#pendingMs;
      this.#failed = false;
      this.#upToDateAt = clock.monotonic();
    } catch (error) {
      if (error instanceof MusterError && error.reason === "EVENT_CURSOR_EXPIRED") restMs = this.#beginAnew();
      else {
        this.#failed = true;
        if (!this.#closed) logger.warn({ err: error }, "events cannot be read");
      }
    }
    this.#reading = false;
    this.#lookIn(this.#again ? LEAST_MS : restMs);
  }

  /** Takes in what is new. Gives whether there are events that are not settled. */
  async #readOn(): Promise<boolean> {
    const { db, clock } = this.#ports;
    if (!this.#end) {
      this.#end = await answerWithin(clock, LOST_MS, readHead(db, this.#scope));
      this.#start = this.#end;
      // Whoever began to read before that may stand before it.
      this.#tell();
    }
    for (let count = 0; !this.#closed; ) {
      const reading = readHistory(db, this.#scope, this.#end, { types: EVERY_TYPE, userId: undefined }, PAGE);
      const { events, next, more, pending } = await answerWithin(clock, LOST_MS, reading);
      this.#end = next;
      this.#keep(events);
      count += events.length;
      if (events.length > 0) this.#tell();
      if (!more) return this.#notePending(pending, count > 0);
    }
    return false;
  }

  #keep(events: readonly StoredEvent[]): void {
    for (const event of events) {
      const size = sizeOf(event);
      this.#recent.push({ event, size });
      this.#characters += size;
    }
    let dropped = 0;
    for (const { event, size } of this.#recent) {
      if (this.#recent.length - dropped <= KEPT.events && this.#characters <= KEPT.characters) break;
      dropped++;
      this.#characters -= size;
      this.#start = positionOf(event);
    }
    this.#recent.splice(0, dropped);
  }

  #notePending(pending: boolean, progress: boolean): boolean {
    if (!pending) this.#heldSince = undefined;
    else if (progress || this.#heldSince === undefined) this.#heldSince = this.#ports.clock.monotonic();
    this.#pendingMs = progress || !pending ? LEAST_MS : Math.min(this.#pendingMs * 1.5, MOST_PENDING_MS);
    return pending;
  }

  /** The history is another one, or this process was away for longer than events are kept: each reader finds out by itself. */
  #beginAnew(): number {
    this.generation++;
    this.#recent.length = 0;
    this.#characters = 0;
    this.#start = undefined;
    this.#end = undefined;
    this.#tell();
    return 0;
  }

  #tell(): void {
    for (const onNews of this.#readers) onNews();
  }
}
