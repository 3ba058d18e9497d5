import { lookUpAll } from "../db/look-up.ts";
import type { Database } from "../db/orm.ts";
import { deletedAmong, type ProjectScope } from "./find-user.ts";
import { KEYS, type UserKey } from "./user-key.ts";
import { GET_USERS, type UserRow } from "./user-statements.ts";

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
    const asked = { keys: group.length, values: [projectId, identifiers] };
    const rows = await lookUpAll<UserRow & { key: string }>(db, GET_USERS[by], asked, signal);
    for (const { key, ...user } of rows) found.set(`${by}:${key}`, user);
  }
  const absent = [...keys.entries()].filter(([, key]) => !found.has(nameOf(key)));
  const absentIds = absent.flatMap(([, key]) => (key.by === "id" ? [key.value] : []));
  const deleted = absentIds.length ? await deletedAmong(db, { projectId, signal }, absentIds) : new Set<string>();
  const users = keys.flatMap((key) => found.get(nameOf(key)) ?? []);
  return {
    users: [...new Map(users.map((user) => [user.id, user])).values()],
    missing: absent.filter(([, key]) => !(key.by === "id" && deleted.has(key.value))).map(([position]) => position),
    deleted: [...deleted],
  };
}
