import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import type { PageTokens } from "../page-tokens.ts";
import { PulledStream, type StreamNews, type StreamSignals } from "../pulled-stream.ts";
import type { EventPosition } from "./event-cursor.ts";
import type { EventFeed } from "./event-feed.ts";
import { EventSource } from "./event-source.ts";
import type { StoredEvent } from "./read-events.ts";
import type { EventFilter } from "./read-history.ts";

/** What a stream says of its own. */
export type EventNews =
  /** To all readers in this process that are told of it as it happens, the event is the same object. */
  { readonly kind: "event"; readonly event: StoredEvent } | { readonly kind: "snapshotComplete" };

/** One message of a stream. */
export interface EventNewsMessage {
  /** Up to where the reader has been told: of an event, that. Undefined where nothing has been read yet. */
  readonly position: EventPosition | undefined;
  readonly news: EventNews | StreamNews;
}

export interface WatchEventsPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly eventFeed: EventFeed;
  readonly pageTokens: PageTokens;
}

export interface WatchEventsInput extends EventFilter {
  readonly projectId: string;
  /** Empty: see `fromOldest`. */
  readonly cursor: string;
  /** Without a cursor: from the oldest event that is kept, instead of from now. */
  readonly fromOldest: boolean;
}

const HEARTBEAT_MS = 20_000;

/**
 * Streams what happens in a project: event* → snapshot complete → (event | heartbeat)* → goodbye, until a signal or the reader's
 * stalling ends it, or `return`. REQUEST_INVALID; `next`: EVENT_CURSOR_EXPIRED, READER_STALLED, STORAGE_UNAVAILABLE, or the reason of the
 * signal; before SHUTTING_DOWN it says goodbye.
 */
export function watchEvents(
  ports: WatchEventsPorts,
  input: WatchEventsInput,
  signals: StreamSignals,
): PulledStream<EventNews, EventNewsMessage> {
  const open = (onNews: () => void) => new EventSource(ports, input, signals.left, onNews);
  return new PulledStream(ports.clock, HEARTBEAT_MS, signals, open);
}
