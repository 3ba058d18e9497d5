import type { Step } from "../chain.ts";
import type { PresenceRecord } from "../effective-presence.ts";
import { keyOf, type Subject } from "../engine.ts";

/** What a notification says of one user. Without a record: read it. */
export interface Note {
  readonly subject: Subject;
  readonly record: PresenceRecord | undefined;
}

/** As the set statement writes it: a tuple, cut off after the user where the chain is too long to send. */
type Item = [projectId: string, userId: string, rev?: number, setAt?: number, since?: number, steps?: Step[]];

/** What is sent to have a user read again. */
export const writeHint = ({ projectId, userId }: Subject): string => JSON.stringify([[projectId, userId]]);

/** Reads a notification, leaving out users for which `wanted` is false before more is made of them. */
export function readNotes(payload: string, wanted: (key: string) => boolean): Note[] {
  const notes: Note[] = [];
  for (const [projectId, userId, revision, setAt, since, steps] of JSON.parse(payload) as Item[]) {
    const subject = { projectId, userId };
    if (!wanted(keyOf(subject))) continue;
    const whole = revision !== undefined && setAt !== undefined && since !== undefined && steps !== undefined;
    notes.push({ subject, record: whole ? { revision, setAt, since, steps } : undefined });
  }
  return notes;
}
