import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { query } from "../db/statement.ts";
import { DELETE_AVATAR } from "./avatars/avatar-statements.ts";
import { getUser, type ProjectScope, requireUser } from "./find-user.ts";
import type { UserKey } from "./user-key.ts";
import type { UserRow } from "./user-statements.ts";

/** Takes a user's avatar away, and its `avatar_url` whatever it names. USER_NOT_FOUND, USER_DELETED. */
export async function deleteAvatar(
  { db, clock }: { readonly db: Database; readonly clock: Clock },
  scope: ProjectScope,
  key: UserKey,
): Promise<UserRow> {
  const { id } = await requireUser(db, scope, key);
  await query(db.pool, DELETE_AVATAR, [scope.projectId, id, new Date(clock.now())], scope.signal);
  return getUser(db, scope, { by: "id", value: id });
}
