import { lookUp, lookUpAll } from "../db/look-up.ts";
import type { Database } from "../db/orm.ts";
import { query } from "../db/statement.ts";
import { MusterError } from "../errors.ts";
import { KEYS, type UserKey } from "./user-key.ts";
import { DELETED_AMONG, GET_USER, IDENTIFY_USERS, USER_IDS_AFTER, type UserRow } from "./user-statements.ts";

/** Whose users, and until when it matters. */
export interface ProjectScope {
  readonly projectId: string;
  readonly signal?: AbortSignal | undefined;
}

/** The ids of a user. */
export interface UserIdentity {
  readonly id: string;
  readonly externalId: string;
}

/** The user a key names. USER_NOT_FOUND, USER_DELETED. */
export async function getUser(db: Database, scope: ProjectScope, key: UserKey): Promise<UserRow> {
  const values = [scope.projectId, KEYS[key.by].comparable(key.value)];
  const [user] = await lookUp<UserRow>(db, GET_USER[key.by], values, scope.signal);
  return user ?? notFound(db, scope, key);
}

/** The ids of the users that keys name, in the order of the keys; undefined where there is none. */
export async function findUserIds(
  db: Database,
  { projectId, signal }: ProjectScope,
  keys: readonly UserKey[],
): Promise<(UserIdentity | undefined)[]> {
  const found = new Map<string, UserIdentity>();
  for (const [by, group] of Map.groupBy(keys, (key) => key.by)) {
    const identifiers = group.map(({ value }) => KEYS[by].comparable(value));
    const asked = { keys: group.length, values: [projectId, identifiers] };
    const rows = await lookUpAll<UserIdentity & { key: string }>(db, IDENTIFY_USERS[by], asked, signal);
    for (const { key, id, externalId } of rows) found.set(`${by}:${key}`, { id, externalId });
  }
  return keys.map(({ by, value }) => found.get(`${by}:${KEYS[by].comparable(value)}`));
}

/** The ids of the user a key names. USER_NOT_FOUND, USER_DELETED. */
export async function requireUser(db: Database, scope: ProjectScope, key: UserKey): Promise<UserIdentity> {
  const [user] = await findUserIds(db, scope, [key]);
  return user ?? notFound(db, scope, key);
}

const NOBODY = "00000000-0000-0000-0000-000000000000";

/** The ids of a project's users, in their order, of those after `after`; empty: from the first on. */
export async function userIdsAfter(
  db: Database,
  { projectId, signal }: ProjectScope,
  after: string,
  limit: number,
): Promise<string[]> {
  const rows = await query<{ id: string }>(db.pool, USER_IDS_AFTER, [projectId, after || NOBODY, limit], signal);
  return rows.map(({ id }) => id);
}

/** Of these ids, those of users that were deleted. */
export async function deletedAmong(
  db: Database,
  { projectId, signal }: ProjectScope,
  ids: readonly string[],
): Promise<Set<string>> {
  const rows = await lookUpAll<{ id: string }>(
    db,
    DELETED_AMONG,
    { keys: ids.length, values: [projectId, ids] },
    signal,
  );
  return new Set(rows.map(({ id }) => id));
}

/** Fails for a key that names nobody: an id may have belonged to a user that was deleted. */
export async function notFound(db: Database, { projectId, signal }: ProjectScope, key: UserKey): Promise<never> {
  if (key.by === "id") {
    const deleted = await deletedAmong(db, { projectId, signal }, [key.value]);
    if (deleted.size > 0) throw new MusterError("USER_DELETED");
  }
  throw new MusterError("USER_NOT_FOUND");
}
