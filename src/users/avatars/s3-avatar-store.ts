import type { Clock } from "../../clock.ts";
import type { Database } from "../../db/orm.ts";
import { write } from "../../db/recorded.ts";
import { query } from "../../db/statement.ts";
import { MusterError } from "../../errors.ts";
import type { NewId } from "../../ids.ts";
import type { ProjectScope } from "../find-user.ts";
import { AVATAR_SIZES, type AvatarImages, type AvatarSize } from "./avatar-images.ts";
import { READ_AVATAR, RESERVE_OBJECT, WRITE_OBJECT } from "./avatar-statements.ts";
import type { AvatarStore } from "./avatar-store.ts";
import { knowsAvatar, type StoredAvatar } from "./postgres-avatar-store.ts";
import type { Bucket } from "./s3-bucket.ts";

export interface S3AvatarStorePorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly bucket: Bucket;
}

/**
 * How long an object may wait for the avatar that it was made for, in milliseconds: longer than any upload takes, one included that
 * was given up and that the service finishes all the same.
 */
const RESERVED_MS = 15 * 60_000;

/** The key of one size of an object. Every upload makes an object of its own, so that a removal never hits a later one. */
export const keyOf = (projectId: string, objectId: string, size: AvatarSize): string =>
  `${projectId}/${objectId}/${size}.webp`;

/**
 * Keeps the images in a bucket. An object is noted for removal before it is made, and struck off in the transaction in which an
 * avatar comes to name it: a process may be killed at any moment and leaves nothing that is not removed.
 */
export function createS3AvatarStore({ db, clock, newId, bucket }: S3AvatarStorePorts): AvatarStore {
  async function upload({ projectId, signal }: ProjectScope, objectId: string, images: AvatarImages): Promise<void> {
    const puts = AVATAR_SIZES.map((size) =>
      bucket.put(keyOf(projectId, objectId, size), new Uint8Array(images[size]), "image/webp", signal),
    );
    for (const put of await Promise.allSettled(puts)) if (put.status === "rejected") throw put.reason;
  }

  return {
    async write(scope, { userId, hash, images, url }) {
      const { projectId, signal } = scope;
      const objectId = newId();
      const dueTime = new Date(clock.now() + RESERVED_MS);
      await query(db.pool, RESERVE_OBJECT, [projectId, objectId, dueTime], signal);
      await upload(scope, objectId, images);
      const values = [projectId, userId, new Date(clock.now()), hash, url, newId(), objectId];
      return (await write(db, scope, WRITE_OBJECT, values)).length > 0;
    },
    has: (scope, hash) => knowsAvatar(db, scope, hash),
    async read({ projectId, signal }, hash, size) {
      const [row] = await query<StoredAvatar>(db.pool, READ_AVATAR[size], [projectId, hash], signal);
      // One from the time before there was a bucket stands in its row.
      if (!row || row.image) return row?.image ?? undefined;
      if (!row.objectId) throw new MusterError("STORAGE_UNAVAILABLE");
      return bucket.get(keyOf(projectId, row.objectId, size), signal);
    },
  };
}
