import type { Database } from "../db/orm.ts";
import type { PageTokens } from "../page-tokens.ts";
import { createEventCursor, readEventCursor } from "./event-cursor.ts";
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

/** Lists a project's settled events, the oldest first. EVENT_CURSOR_EXPIRED; REQUEST_INVALID for a page token of another project. */
export async function listEvents(
  { db, pageTokens }: ListEventsPorts,
  scope: { readonly projectId: string; readonly signal?: AbortSignal | undefined },
  { pageSize, pageToken, ...filter }: ListEventsInput,
): Promise<EventPage> {
  const from = readEventCursor(pageTokens, scope.projectId, pageToken, "page_token");
  const { events, next, more } = await readHistory(db, scope, from, filter, pageSize || DEFAULT_PAGE);
  const cursor = createEventCursor(pageTokens, scope.projectId, next);
  return { events, nextPageToken: more ? cursor : "", cursor };
}
