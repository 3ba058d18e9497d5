import type { Database } from "../../db/orm.ts";
import { query } from "../../db/statement.ts";
import { keyOf, type Subject } from "../engine.ts";
import type { Masters } from "./masters.ts";
import { runScript } from "./run-command.ts";
import { DELETE } from "./scripts.ts";
import { channelOf, RECORD_KEYS, recordKey, subjectOf, tagOf } from "./tags.ts";

/** About so many keys are looked at in one go. */
const KEYS_AT_ONCE = 500;

/**
 * Which users are gone. $1 project ids, $2 user ids; one row for each pair, in their order. Those of a project that was never here are not:
 * another deployment may share the Redis.
 */
const GONE = {
  name: "presence_gone_users",
  text: `
select u.id is null and (p.id is not null or exists (
  select from revocations r where r.project_id = i.project_id and r.cause = 'PROJECT_DELETED')) as gone
from unnest($1::uuid[], $2::uuid[]) with ordinality as i (project_id, user_id, place)
left join projects p on p.id = i.project_id
left join users u on u.project_id = i.project_id and u.id = i.user_id
order by i.place`,
};

/** Removes the records of users that are gone: of projects that were deleted, and of users that Redis was not there to be told of. */
export async function sweepRecords(db: Database, masters: Masters, signal: AbortSignal): Promise<void> {
  if (!masters.isWhole) throw new Error("a Redis server is not connected");
  for (const { commands } of masters.links) {
    let cursor = "0";
    do {
      signal.throwIfAborted();
      const args = ["SCAN", cursor, "MATCH", RECORD_KEYS, "COUNT", String(KEYS_AT_ONCE)];
      const [next, keys] = (await commands.send(args)) as [string, string[]];
      const subjects = keys.flatMap((key) => subjectOf(key) ?? []);
      const gone = await goneOf(db, subjects, signal);
      await Promise.all(gone.map((subject) => removeRecord(masters, subject)));
      cursor = next;
    } while (cursor !== "0");
  }
}

/** Bars a user's record, and has those look that watch the user. */
export async function removeRecord(masters: Masters, subject: Subject): Promise<void> {
  const tag = tagOf(subject);
  await runScript(masters, tag, DELETE, recordKey(tag, subject), channelOf(tag), keyOf(subject));
}

async function goneOf(db: Database, subjects: readonly Subject[], signal: AbortSignal): Promise<Subject[]> {
  if (subjects.length === 0) return [];
  const columns = [subjects.map(({ projectId }) => projectId), subjects.map(({ userId }) => userId)];
  const rows = await query<{ gone: boolean }>(db.pool, GONE, columns, signal);
  return subjects.filter((_, index) => rows[index]?.gone);
}
