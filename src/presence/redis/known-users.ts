import type { Database } from "../../db/orm.ts";
import { query } from "../../db/statement.ts";
import { blockedSql } from "../../users/users.ts";
import type { KnownUser, Subject } from "../engine.ts";

/** Reads users. $1 project ids, $2 user ids; one row for each pair, in their order. */
const STATEMENT = {
  name: "presence_known_users",
  text: `
select u.external_id, u.last_active_time, ${blockedSql("u", "now()")} as is_suspended
from unnest($1::uuid[], $2::uuid[]) with ordinality as i (project_id, user_id, place)
left join users u on u.project_id = i.project_id and u.id = i.user_id
order by i.place`,
};

interface Row {
  external_id: string | null;
  last_active_time: Date | null;
  is_suspended: boolean | null;
}

/** A user that there is. */
export interface RegisteredUser {
  readonly user: Omit<KnownUser, "record">;
  /** Whether it may not sign in, and so has no presence. */
  readonly isSuspended: boolean;
}

/**
 * Who the users are, in their order; undefined: no such user. It is the database that says who there is, so that whatever else is
 * left of one that was deleted, it is nowhere to be seen.
 * @throws STORAGE_UNAVAILABLE
 */
export async function knownUsers(
  db: Database,
  subjects: readonly Subject[],
  signal?: AbortSignal,
): Promise<(RegisteredUser | undefined)[]> {
  const columns = [subjects.map(({ projectId }) => projectId), subjects.map(({ userId }) => userId)];
  const rows = await query<Row>(db.pool, STATEMENT, columns, signal);
  return rows.map(({ external_id: externalId, last_active_time: lastActive, is_suspended: isSuspended }) =>
    externalId === null
      ? undefined
      : { user: { externalId, lastActiveAt: lastActive?.getTime() }, isSuspended: isSuspended === true },
  );
}
