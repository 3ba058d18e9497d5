import type { Database } from "../db/orm.ts";
import { query } from "../db/statement.ts";
import type { ProjectScope } from "./find-user.ts";
import { KEYS, type UserKey } from "./user-key.ts";
import { DELETED_AMONG, GET_USERS, type UserRow } from "./user-statements.ts";

/** What was found of the users asked for. */
export interface FoundUsers {
  /** Each once, in the order they were first asked for. */
  readonly users: readonly UserRow[];
  /** Positions, in what was asked for, of the keys that name nobody. */
  readonly missing: readonly number[];
  /** The ids that belonged to deleted users. */
  readonly deleted: readonly string[];
}

/** Gets many users: one statement per kind of key. */
export async function batchGetUsers(
  db: Database,
  { projectId, signal }: ProjectScope,
  keys: readonly UserKey[],
): Promise<FoundUsers> {
  const found = new Map<string, UserRow>();
  const nameOf = ({ by, value }: UserKey) => `${by}:${KEYS[by].comparable(value)}`;
  for (const [by, group] of Map.groupBy(keys, (key) => key.by)) {
    const identifiers = group.map(({ value }) => KEYS[by].comparable(value));
    const rows = await query<UserRow & { key: string }>(db.pool, GET_USERS[by], [projectId, identifiers], signal);
    for (const { key, ...user } of rows) found.set(`${by}:${key}`, user);
  }
  const absent = [...keys.entries()].filter(([, key]) => !found.has(nameOf(key)));
  const absentIds = absent.flatMap(([, key]) => (key.by === "id" ? [key.value] : []));
  const rows = absentIds.length
    ? await query<{ id: string }>(db.pool, DELETED_AMONG, [projectId, absentIds], signal)
    : [];
  const deleted = new Set(rows.map(({ id }) => id));
  const users = keys.flatMap((key) => found.get(nameOf(key)) ?? []);
  return {
    users: [...new Map(users.map((user) => [user.id, user])).values()],
    missing: absent.filter(([, key]) => !(key.by === "id" && deleted.has(key.value))).map(([position]) => position),
    deleted: [...deleted],
  };
}
