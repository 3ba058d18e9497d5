import type { WatchTargets } from "./watch-targets.ts";

/** Who opened a watch: only they may change it. */
export interface WatchOwner {
  readonly projectId: string;
  /** Unset: `.system`. */
  readonly userId: string | undefined;
}

/** Whom to take off a watch's list, and whom to put on it then. */
export interface WatchChange {
  readonly watchId: string;
  readonly owner: WatchOwner;
  readonly add: WatchTargets;
  readonly remove: WatchTargets;
}

/** What came of a change. */
export type ChangeOutcome = "done" | "not found" | "too many";

/** One notification between servers: a part of a change, or what came of one. */
export type WatchNote =
  | {
      readonly kind: "part";
      /** Of the change: the same where it is sent again. */
      readonly id: string;
      /** Which server asks. */
      readonly from: string;
      readonly part: number;
      readonly parts: number;
      readonly watchId: string;
      readonly projectId: string;
      readonly userId?: string;
      readonly items: readonly string[];
    }
  | { readonly kind: "outcome"; readonly id: string; readonly outcome: ChangeOutcome };

/** A notification takes less than 8,000 bytes; what is around the items takes less than 500. */
const PART_BYTES = 7_000;

/** Which of the four lists of a change an item is of: the first letter of its text. */
const ADD = "a";
const ADD_UNKNOWN = "A";
const REMOVE = "r";
const REMOVE_UNKNOWN = "R";

/** A change as the parts that fit into notifications: at least one. */
export function partsOf(id: string, from: string, { watchId, owner, add, remove }: WatchChange): WatchNote[] {
  const items = [
    ...add.subjects.map(({ userId }) => ADD + userId),
    ...add.unknownExternalIds.map((it) => ADD_UNKNOWN + it),
    ...remove.subjects.map(({ userId }) => REMOVE + userId),
    ...remove.unknownExternalIds.map((it) => REMOVE_UNKNOWN + it),
  ];
  const parts: string[][] = [[]];
  let bytes = 0;
  for (const item of items) {
    const length = Buffer.byteLength(JSON.stringify(item)) + 1;
    if (bytes + length > PART_BYTES) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)?.push(item);
    bytes += length;
  }
  const { projectId, userId } = owner;
  const head = { kind: "part", id, from, parts: parts.length, watchId, projectId, ...(userId && { userId }) } as const;
  return parts.map((its, part) => ({ ...head, part, items: its }));
}

/** The change that parts are of, once all are there, in any order. */
export function changeOf(parts: readonly Extract<WatchNote, { kind: "part" }>[]): WatchChange | undefined {
  const [first] = parts;
  if (!first || parts.length < first.parts) return undefined;
  const { watchId, projectId, userId } = first;
  const items = parts.flatMap((part) => part.items);
  const of = (letter: string) => items.filter((it) => it.startsWith(letter)).map((it) => it.slice(1));
  const targets = (known: string, unknown: string) => ({
    subjects: of(known).map((id) => ({ projectId, userId: id })),
    unknownExternalIds: of(unknown),
  });
  return {
    watchId,
    owner: { projectId, userId },
    add: targets(ADD, ADD_UNKNOWN),
    remove: targets(REMOVE, REMOVE_UNKNOWN),
  };
}
