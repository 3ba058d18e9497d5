import type { Place } from "./seal.ts";

/** What is wrong with an audit trail. */
export type FindingKind =
  /** Entries between two seals were changed, removed or inserted. */
  | "entries_changed"
  /** Entries stand where nothing can be added: before the first seal, or where they had been removed because their time was over. */
  | "entries_unsealed"
  /** Entries name transactions that the database has not come to. */
  | "entries_of_the_future"
  /** A seal was changed, or stands where another one was. */
  | "seal_changed"
  /** A seal is not there, though later ones are. */
  | "seal_missing"
  /** A seal was made with an encryption key that is not configured. */
  | "key_unknown"
  /** A seal says that the entries up to it have been removed because their time was over, and no server said so. */
  | "pruning_forged"
  /** The trail ends before a seal that was there. */
  | "end_missing"
  /** A seal that was there is another one now. */
  | "head_changed";

/** Something that is wrong, and where. Times are whole microseconds since the epoch, in decimal. */
export interface Finding {
  readonly kind: FindingKind;
  readonly projectId: string;
  /** The number of a seal. */
  readonly seal?: string | undefined;
  /** Behind this place, */
  readonly after?: Place | undefined;
  /** and up to this one. */
  readonly upTo?: Place | undefined;
  /** When it was sealed; of an entry that is in no seal, when it says that it was made. */
  readonly time?: string | undefined;
  /** For people. */
  readonly detail: string;
}

/** Findings of a project that are told one by one. */
export const MOST_FINDINGS = 100;

/** What was found in a project, of which no more than `MOST_FINDINGS` are kept. */
export function createFindings(projectId: string) {
  const kept: Finding[] = [];
  let count = 0;
  return {
    add(finding: Omit<Finding, "projectId">): void {
      if (count++ < MOST_FINDINGS) kept.push({ projectId, ...finding });
    },
    kept: kept as readonly Finding[],
    get count(): number {
      return count;
    },
  };
}

export type Findings = ReturnType<typeof createFindings>;
