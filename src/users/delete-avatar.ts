import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { type WriteScope, write } from "../db/recorded.ts";
import type { NewId } from "../ids.ts";
import { DELETE_AVATAR } from "./avatars/avatar-statements.ts";
import { getUser, requireUser } from "./find-user.ts";
import type { UserKey } from "./user-key.ts";
import type { UserRow } from "./user-statements.ts";

/** Takes a user's avatar away, and its `avatar_url` whatever it names. USER_NOT_FOUND, USER_DELETED. */
export async function deleteAvatar(
  { db, clock, newId }: { readonly db: Database; readonly clock: Clock; readonly newId: NewId },
  scope: WriteScope,
  key: UserKey,
): Promise<UserRow> {
  const { id } = await requireUser(db, scope, key);
  await write(db, scope, DELETE_AVATAR, [scope.projectId, id, new Date(clock.now()), newId()]);
  return getUser(db, scope, { by: "id", value: id });
}
