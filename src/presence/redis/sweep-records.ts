import type { Database } from "../../db/orm.ts";
import { keyOf } from "../engine.ts";
import { knownUsers } from "./known-users.ts";
import type { Masters } from "./masters.ts";
import { runScript } from "./run-command.ts";
import { DELETE } from "./scripts.ts";
import { channelOf, RECORD_KEYS, recordKey, subjectOf, tagOf } from "./tags.ts";

/** About so many keys are looked at in one go. */
const KEYS_AT_ONCE = 500;

/** Removes the records of users that the database does not have: of those whose deletion Redis was not there to be told of. */
export async function sweepRecords(db: Database, masters: Masters, signal: AbortSignal): Promise<void> {
  if (!masters.isWhole) throw new Error("a Redis server is not connected");
  for (const { commands } of masters.links) {
    let cursor = "0";
    do {
      signal.throwIfAborted();
      const args = ["SCAN", cursor, "MATCH", RECORD_KEYS, "COUNT", String(KEYS_AT_ONCE)];
      const [next, keys] = (await commands.send(args)) as [string, string[]];
      await removeStrangers(db, masters, keys, signal);
      cursor = next;
    } while (cursor !== "0");
  }
}

async function removeStrangers(
  db: Database,
  masters: Masters,
  keys: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const subjects = keys.flatMap((key) => subjectOf(key) ?? []);
  if (subjects.length === 0) return;
  const users = await knownUsers(db, subjects, signal);
  const strangers = subjects.filter((_, index) => !users[index]);
  await Promise.all(
    strangers.map((subject) => {
      const tag = tagOf(subject);
      return runScript(masters, tag, DELETE, recordKey(tag, subject), channelOf(tag), keyOf(subject));
    }),
  );
}
