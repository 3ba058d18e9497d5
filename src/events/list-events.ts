import type { Database } from "../db/orm.ts";
import type { PageTokens } from "../page-tokens.ts";
import { createEventCursor, positionOf, readEventCursor, sizeOf } from "./event-cursor.ts";
import type { StoredEvent } from "./read-events.ts";
import { type EventFilter, readHistory } from "./read-history.ts";

export interface ListEventsPorts {
  readonly db: Database;
  readonly pageTokens: PageTokens;
}

export interface ListEventsInput extends EventFilter {
  /** 0–1,000; 0: 50. */
  readonly pageSize: number;
  /** Empty: from the oldest event that is kept. */
  readonly pageToken: string;
}

/** A page of events. */
export interface EventPage {
  readonly events: readonly StoredEvent[];
  /** Empty: there is no more for now. */
  readonly nextPageToken: string;
  /** Where to go on from later. */
  readonly cursor: string;
}

const DEFAULT_PAGE = 50;
/** Of the data of one page, which is then well below what an answer may have, also where each character takes three bytes. */
const MOST_CHARACTERS = 4_000_000;

/** Lists a project's settled events, the oldest first. EVENT_CURSOR_EXPIRED; REQUEST_INVALID for a page token of another project. */
export async function listEvents(
  { db, pageTokens }: ListEventsPorts,
  scope: { readonly projectId: string; readonly signal?: AbortSignal | undefined },
  { pageSize, pageToken, ...filter }: ListEventsInput,
): Promise<EventPage> {
  const from = readEventCursor(pageTokens, scope.projectId, pageToken, "page_token");
  const { events: found, next, more } = await readHistory(db, scope, from, filter, pageSize || DEFAULT_PAGE);
  const events = found.slice(0, countWithin(found, MOST_CHARACTERS));
  const last = events.at(-1);
  const isCut = last !== undefined && events.length < found.length;
  const cursor = createEventCursor(pageTokens, scope.projectId, isCut ? positionOf(last) : next);
  return { events, nextPageToken: more || isCut ? cursor : "", cursor };
}

/** How many of the events, one at least, have together at most so many characters of data. */
function countWithin(events: readonly StoredEvent[], most: number): number {
  let characters = 0;
  const tooMany = events.findIndex((event) => {
    characters += sizeOf(event);
    return characters > most;
  });
  return tooMany < 0 ? events.length : Math.max(tooMany, 1);
}
