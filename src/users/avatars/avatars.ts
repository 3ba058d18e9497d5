import { type Clock, systemClock } from "../../clock.ts";
import type { Database } from "../../db/orm.ts";
import type { NewId } from "../../ids.ts";
import type { Logger } from "../../logger.ts";
import type { AvatarStore } from "./avatar-store.ts";
import { createImageEncoder, type ImageEncoder } from "./image-encoder.ts";
import { createPostgresAvatarStore } from "./postgres-avatar-store.ts";
import { startRemovals } from "./remove-objects.ts";
import { createS3AvatarStore } from "./s3-avatar-store.ts";
import { type BucketSettings, createBucket } from "./s3-bucket.ts";

export interface AvatarPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly logger: Logger;
  /** Where addresses of avatars begin. */
  readonly publicUrl: string;
  /** Where images are kept; undefined: in the database. */
  readonly bucket: BucketSettings | undefined;
}

/** What SetAvatar and the addresses of avatars stand on. */
export interface Avatars extends AsyncDisposable {
  readonly publicUrl: string;
  readonly encoder: ImageEncoder;
  readonly store: AvatarStore;
}

/** Makes the encoder and the store that the configuration asks for, and begins to remove from a bucket what is no longer named. */
export function createAvatars(ports: AvatarPorts): Avatars {
  const resources = new AsyncDisposableStack();
  const encoder = resources.use(createImageEncoder(ports.clock));
  return {
    publicUrl: ports.publicUrl,
    encoder,
    store: ports.bucket ? storeInBucket(ports, ports.bucket, resources) : createPostgresAvatarStore(ports),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

function storeInBucket(ports: AvatarPorts, settings: BucketSettings, resources: AsyncDisposableStack): AvatarStore {
  // A service refuses what is not signed at its own time.
  const bucket = createBucket(settings, systemClock);
  resources.use(startRemovals({ ...ports, bucket }));
  return createS3AvatarStore({ ...ports, bucket });
}
