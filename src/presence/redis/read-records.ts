import type { Micros } from "../chain.ts";
import type { PresenceRecord } from "../effective-presence.ts";
import type { Subject } from "../engine.ts";
import type { Masters } from "./masters.ts";
import { readRecord } from "./record-text.ts";
import { runCommand } from "./run-command.ts";
import { recordKey, tagOf } from "./tags.ts";

/** What is kept of users, and when that was. */
export interface Records {
  readonly now: Micros;
  /** One for each subject, in their order. */
  readonly records: readonly (PresenceRecord | undefined)[];
}

/**
 * Reads the records of users, from where they are written: one command for all, in a cluster one for each tag, under
 * way together. In a cluster `now` is the clock of the server that has the first user: its servers' clocks have to agree.
 */
export async function readRecords(masters: Masters, subjects: readonly Subject[]): Promise<Records> {
  const groups = new Map<number, { tag: number; keys: string[]; places: number[] }>();
  for (const [place, subject] of subjects.entries()) {
    const tag = tagOf(subject);
    const together = masters.isCluster ? tag : 0;
    const group = groups.get(together) ?? { tag, keys: [], places: [] };
    groups.set(together, group);
    group.keys.push(recordKey(tag, subject));
    group.places.push(place);
  }
  const [first = 0] = [...groups.values()].map(({ tag }) => tag);
  const reads = [...groups.values()].map(({ tag, keys }) => runCommand(masters, tag, ["MGET", ...keys]));
  const [time, ...answers] = await Promise.all([runCommand(masters, first, ["TIME"]), ...reads]);
  const records: (PresenceRecord | undefined)[] = Array.from(subjects, () => undefined);
  for (const [index, { places }] of [...groups.values()].entries())
    for (const [at, place] of places.entries())
      records[place] = readRecord((answers[index] as (string | null)[])[at] ?? null);
  const [seconds, micros] = time as [string, string];
  return { now: Number(seconds) * 1_000_000 + Number(micros), records };
}
