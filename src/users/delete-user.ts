import { query } from "../db/statement.ts";
import { MusterError } from "../errors.ts";
import type { AnnounceChange } from "./announce-change.ts";
import { notFound, type ProjectScope, type UserIdentity } from "./find-user.ts";
import type { UserPorts } from "./upsert-user.ts";
import { KEYS, type UserKey } from "./user-key.ts";
import { DELETE_USER } from "./user-statements.ts";

/**
 * Deletes a user and, by foreign keys, all that is its own; retires its id; emits `user.deleted`: one statement.
 * USER_NOT_FOUND, USER_DELETED; PRINCIPAL_NOT_ALLOWED where a user deletes itself and the project forbids it.
 */
export async function deleteUser(
  { db, clock, newId, projects, announceChange }: UserPorts & { readonly announceChange: AnnounceChange },
  scope: ProjectScope,
  key: UserKey,
  byItself: boolean,
): Promise<void> {
  const { settings } = await projects.get(scope.projectId);
  if (byItself && !settings.usersMayDeleteThemselves) throw new MusterError("PRINCIPAL_NOT_ALLOWED");
  const [gone] = await query<UserIdentity>(
    db.pool,
    DELETE_USER[key.by],
    [scope.projectId, new Date(clock.now()), KEYS[key.by].comparable(key.value), newId()],
    scope.signal,
  );
  if (!gone) return notFound(db, scope, key);
  announceChange(scope.projectId, gone.id);
}
