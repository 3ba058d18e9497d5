import { type Page, PagedNews } from "../paged-news.ts";
import type { StreamNews, StreamSource } from "../pulled-stream.ts";
import { type EventPosition, positionOf, readEventCursor } from "./event-cursor.ts";
import type { FollowedTail } from "./event-feed.ts";
import { isWanted } from "./event-types.ts";
import type { StoredEvent } from "./read-events.ts";
import { readHead, readHistory } from "./read-history.ts";
import type { EventNews, EventNewsMessage, WatchEventsInput, WatchEventsPorts } from "./watch-events.ts";

/** From when on events that are not settled are said to be held up. */
const HELD_MS = 5_000;
const PAGE = 100;

/**
 * What one reader is told. It has a position of its own and takes what is behind it when the reader asks for more: from the project's
 * tail, which all streams share, or where that does not go back so far from the database.
 */
export class EventSource implements StreamSource<EventNews, EventNewsMessage> {
  readonly #ports: WatchEventsPorts;
  readonly #input: WatchEventsInput;
  readonly #left: AbortSignal;
  readonly #news: PagedNews<StoredEvent>;
  readonly #followed: FollowedTail;
  /** Up to where it has read; undefined: nowhere yet. */
  #position: EventPosition | undefined;
  /** The generation of the tail in which the position was found to be one of the history. */
  #foundIn: number | undefined;
  /** Up to where the reader has been told. */
  #told: EventPosition | undefined;

  /** Ends what it reads when `left` aborts. REQUEST_INVALID for a cursor that is none of the project. */
  constructor(ports: WatchEventsPorts, input: WatchEventsInput, left: AbortSignal, onNews: () => void) {
    this.#position = readEventCursor(ports.pageTokens, input.projectId, input.cursor, "cursor");
    this.#told = this.#position;
    this.#ports = ports;
    this.#input = input;
    this.#left = left;
    this.#news = new PagedNews(ports.clock, async () => this.#takeFromTail() ?? (await this.#readByItself()));
    this.#followed = ports.eventFeed.follow(input.projectId, () => {
      this.#news.wake();
      onNews();
    });
  }

  get staleFor(): number {
    return this.#followed.tail.staleFor;
  }

  get isStale(): boolean {
    return this.#news.isDue || this.staleFor > 0 || this.#followed.tail.heldFor >= HELD_MS;
  }

  get restMs(): number {
    return this.#news.restMs;
  }

  async next(): Promise<EventNews | undefined> {
    const event = await this.#news.next();
    if (typeof event === "object") {
      this.#told = positionOf(event);
      return { kind: "event", event };
    }
    this.#told = this.#position;
    return event && { kind: event };
  }

  message(news: EventNews | StreamNews): EventNewsMessage {
    return { position: this.#told, news };
  }

  close(): void {
    this.#followed[Symbol.dispose]();
    this.#news.clear();
  }

  /** Undefined: the tail does not go back to the position, or that has no place in it. */
  #takeFromTail(): Page<StoredEvent> | undefined {
    const { tail } = this.#followed;
    const { types, userId } = this.#input;
    if (!this.#position || this.#foundIn !== tail.generation) return undefined;
    const found = tail.after(this.#position, PAGE);
    if (!found) return undefined;
    const { events, more } = found;
    const last = events.at(-1);
    if (last) this.#position = positionOf(last);
    const isTold = (event: StoredEvent) =>
      isWanted(types, event.type) && (userId === undefined || event.userId === userId);
    return { items: events.filter(isTold), more };
  }

  async #readByItself(): Promise<Page<StoredEvent>> {
    const { db } = this.#ports;
    const { generation } = this.#followed.tail;
    const { projectId, fromOldest, ...filter } = this.#input;
    const scope = { projectId, signal: this.#left };
    if (!this.#position && !fromOldest) {
      this.#position = await readHead(db, scope);
      this.#foundIn = generation;
      return { items: [], more: false };
    }
    const { events, next, more } = await readHistory(db, scope, this.#position, filter, PAGE);
    this.#position = next;
    this.#foundIn = generation;
    return { items: events, more };
  }
}
