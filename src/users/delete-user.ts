import { type WriteScope, write } from "../db/recorded.ts";
import { MusterError } from "../errors.ts";
import type { AnnounceDeletion } from "./announce-deletion.ts";
import { DELETE_USER } from "./deletion-statements.ts";
import { notFound, type UserIdentity } from "./find-user.ts";
import { forgetEndsAt, type UserPorts } from "./upsert-user.ts";
import { KEYS, type UserKey } from "./user-key.ts";

export interface DeletionPorts extends UserPorts {
  readonly announceDeletion: AnnounceDeletion;
}

/**
 * Deletes a user and, by foreign keys, all that is its own; retires its id; ends its access; emits `user.deleted`: one statement.
 * USER_NOT_FOUND, USER_DELETED; PRINCIPAL_NOT_ALLOWED where a user deletes itself and the project forbids it.
 */
export async function deleteUser(
  { db, clock, newId, projects, announceEnd, announceDeletion }: DeletionPorts,
  scope: WriteScope,
  key: UserKey,
  byItself: boolean,
): Promise<void> {
  const { settings } = await projects.get(scope.projectId);
  if (byItself && !settings.usersMayDeleteThemselves) throw new MusterError("PRINCIPAL_NOT_ALLOWED");
  const now = clock.now();
  const identifier = KEYS[key.by].comparable(key.value);
  const values = [scope.projectId, new Date(now), identifier, newId(), forgetEndsAt(now, settings.tokenTtlMaxMs)];
  const [gone] = await write<UserIdentity & { projectId: string }>(db, scope, DELETE_USER[key.by], values);
  if (!gone) return notFound(db, scope, key);
  announceEnd();
  announceDeletion(scope.projectId, gone.id);
}
