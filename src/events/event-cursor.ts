import { invalid, MusterError } from "../errors.ts";
import type { PageTokens } from "../page-tokens.ts";
import { type EventCursor, HISTORY_START, type StoredEvent } from "./read-events.ts";

/**
 * How far somebody has read: the last event that was read, by its place and its id. Where that event is not there, the history that was read
 * is not the one that there is.
 */
export interface EventPosition extends EventCursor {
  /** Null: there was no event so far. */
  readonly eventId: string | null;
}

/** Before the first event of a project that had none. */
export const NOTHING_READ: EventPosition = { ...HISTORY_START, eventId: null };

/** Whether `a` is behind `b` (above 0), before it (below 0) or the same place. */
export const comparePlaces = (a: EventCursor, b: EventCursor): number =>
  Number(a.transactionId) - Number(b.transactionId) || a.sequence - b.sequence;

/** The position of one who has read up to an event. */
export const positionOf = ({ id, cursor }: StoredEvent): EventPosition => ({ ...cursor, eventId: id });

/** How long the data of an event is, in characters of JSON. */
export const sizeOf = ({ data }: StoredEvent): number => JSON.stringify(data).length;

/** A position is one whatever is read from there on, so that those who come to want other events go on where they were. */
const contextOf = (projectId: string) => ({ list: "events", projectId, query: null });

/** A cursor for a reader of the project to keep: opaque, and of no use in another one. */
export function createEventCursor(
  tokens: PageTokens,
  projectId: string,
  { transactionId, sequence, eventId }: EventPosition,
): string {
  return tokens.issue(contextOf(projectId), [transactionId, String(sequence), eventId]);
}

/** The position that was kept; undefined for an empty cursor. REQUEST_INVALID, of `field`, for one that is none of the project. */
export function readEventCursor(
  tokens: PageTokens,
  projectId: string,
  cursor: string,
  field: string,
): EventPosition | undefined {
  if (cursor === "") return undefined;
  try {
    const [transactionId, sequence, eventId] = tokens.read(contextOf(projectId), cursor);
    return {
      transactionId: transactionId ?? HISTORY_START.transactionId,
      sequence: Number(sequence),
      eventId: eventId ?? null,
    };
  } catch (error) {
    if (error instanceof MusterError) throw invalid(field, "is not one that was given in this project");
    throw error;
  }
}
