import type { Database } from "../db/orm.ts";
import type { WriteScope } from "../db/recorded.ts";
import { query } from "../db/statement.ts";
import { MusterError } from "../errors.ts";
import { hashOf, urlOf } from "./avatars/avatar-address.ts";
import { HAS_AVATAR } from "./avatars/avatar-statements.ts";
import type { Avatars } from "./avatars/avatars.ts";
import { getUser, requireUser } from "./find-user.ts";
import type { UserKey } from "./user-key.ts";
import type { UserRow } from "./user-statements.ts";

export interface SetAvatarPorts {
  readonly db: Database;
  readonly avatars: Avatars;
}

/**
 * Makes an image, of at most 5 MiB and 24 megapixels, a user's avatar. The one it has already changes nothing.
 * USER_NOT_FOUND, USER_DELETED, AVATAR_INVALID, RATE_LIMITED, STORAGE_UNAVAILABLE.
 */
export async function setAvatar(
  { db, avatars }: SetAvatarPorts,
  scope: WriteScope,
  key: UserKey,
  image: Uint8Array,
): Promise<UserRow> {
  const { projectId, signal } = scope;
  const { id } = await requireUser(db, scope, key);
  const images = await avatars.encoder.encode(image, signal);
  const hash = hashOf(projectId, id, images);
  const url = urlOf(avatars.publicUrl, projectId, hash);
  const known = await query(db.pool, HAS_AVATAR, [projectId, id, hash, url], signal);
  const written = known.length > 0 || (await avatars.store.write(scope, { userId: id, hash, images, url }));
  const user = await getUser(db, scope, { by: "id", value: id });
  // The user is there, but what was made for it no longer was: the upload took longer than anything may.
  if (!written) throw new MusterError("CONFLICT");
  return user;
}
