import { readSteps } from "../chain.ts";
import type { PresenceRecord } from "../effective-presence.ts";
import type { Subject } from "../engine.ts";

/** What stands where a user's record was, for a while after the user was deleted: whoever is late finds it. */
export const DELETED = "deleted";

/** Reads a record as the set script writes it, `revision setAt since chain`; undefined: there is none, or none that we wrote. */
export function readRecord(text: string | null): PresenceRecord | undefined {
  const [, revision, setAt, since, chain] = /^(\d+) (\d+) (\d+) (\[.*)$/s.exec(text ?? "") ?? [];
  if (chain === undefined) return undefined;
  return { revision: Number(revision), setAt: Number(setAt), since: Number(since), steps: readSteps(chain) };
}

/** The revision and times of what was set, as the script answers: `revision setAt since`. */
export function readTimes(text: string): Omit<PresenceRecord, "steps"> {
  const [revision = 0, setAt = 0, since = 0] = text.split(" ").map(Number);
  return { revision, setAt, since };
}

/** What a message says of one user. Without a record: read it. */
export interface Note {
  readonly subject: Subject;
  readonly record: PresenceRecord | undefined;
}

/** Reads a message, `projectId/userId record` or without a record, unless `wanted` is false of its user. */
export function readNote(message: string, wanted: (key: string) => boolean): Note | undefined {
  const end = message.indexOf(" ");
  const key = end < 0 ? message : message.slice(0, end);
  if (!wanted(key)) return undefined;
  const [projectId = "", userId = ""] = key.split("/");
  return { subject: { projectId, userId }, record: end < 0 ? undefined : readRecord(message.slice(end + 1)) };
}
