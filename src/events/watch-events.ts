import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import type { PageTokens } from "../page-tokens.ts";
import type { EventFeed } from "./event-feed.ts";
import { EventStream } from "./event-stream.ts";
import type { StoredEvent } from "./read-events.ts";
import type { EventFilter } from "./read-history.ts";

/** What a stream says. */
export type EventNews =
  | { readonly kind: "event"; readonly event: StoredEvent }
  | { readonly kind: "snapshotComplete" }
  | { readonly kind: "heartbeat"; readonly stale: boolean }
  | { readonly kind: "goodbye"; readonly reconnectAfterMs: number };

/** One message of a stream. */
export interface EventNewsMessage {
  /** Where to go on from behind it. Empty where nothing has been read yet. */
  readonly cursor: string;
  readonly news: EventNews;
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

/** What ends a stream from outside. */
export interface WatchSignals {
  /** The caller has left. */
  readonly left: AbortSignal;
  /** The server ends the stream; the reason is what it fails with. */
  readonly ended: AbortSignal;
}

/**
 * Streams what happens in a project: event* → snapshot complete → (event | heartbeat)* → goodbye, until a signal or the reader's
 * stalling ends it. EVENT_CURSOR_EXPIRED, REQUEST_INVALID, READER_STALLED, STORAGE_UNAVAILABLE, or the reason of the signal; before
 * SHUTTING_DOWN it says goodbye.
 */
export async function* watchEvents(
  ports: WatchEventsPorts,
  input: WatchEventsInput,
  signals: WatchSignals,
): AsyncGenerator<EventNewsMessage, never> {
  const stream = new EventStream(ports, input, signals);
  try {
    for (;;) yield await stream.next();
  } finally {
    stream.close();
  }
}
