import type { Clock } from "../../clock.ts";
import type { Database } from "../../db/orm.ts";
import { write } from "../../db/recorded.ts";
import { query } from "../../db/statement.ts";
import type { NewId } from "../../ids.ts";
import type { ProjectScope } from "../find-user.ts";
import { AVATAR_SIZES } from "./avatar-images.ts";
import { KNOWS_AVATAR, READ_AVATAR, WRITE_IMAGES } from "./avatar-statements.ts";
import type { AvatarStore } from "./avatar-store.ts";

/** What a row says of one size: it holds the image, or names the object that does. */
export type StoredAvatar = { readonly image: Buffer | null; readonly objectId: string | null };

/** Whether a row holds the avatar, or names the object that does. STORAGE_UNAVAILABLE. */
export const knowsAvatar = async (db: Database, scope: ProjectScope, hash: string): Promise<boolean> =>
  (await query(db.pool, KNOWS_AVATAR, [scope.projectId, hash], scope.signal)).length > 0;

/** Keeps the images in the database: they come and go in the transaction of their user. */
export function createPostgresAvatarStore({
  db,
  clock,
  newId,
}: {
  readonly db: Database;
  readonly clock: Clock;
  readonly newId: NewId;
}): AvatarStore {
  return {
    async write(scope, { userId, hash, images, url }) {
      const bytes = AVATAR_SIZES.map((size) => Buffer.from(images[size]));
      const values = [scope.projectId, userId, new Date(clock.now()), hash, url, newId(), ...bytes];
      return (await write(db, scope, WRITE_IMAGES, values)).length > 0;
    },
    has: (scope, hash) => knowsAvatar(db, scope, hash),
    async read({ projectId, signal }, hash, size) {
      const [row] = await query<StoredAvatar>(db.pool, READ_AVATAR[size], [projectId, hash], signal);
      return row?.image ?? undefined;
    },
  };
}
