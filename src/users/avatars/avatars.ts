import type { Clock } from "../../clock.ts";
import type { Database } from "../../db/orm.ts";
import type { NewId } from "../../ids.ts";
import type { Job } from "../../jobs/job.ts";
import type { Logger } from "../../logger.ts";
import type { AvatarStore } from "./avatar-store.ts";
import { createImageEncoder, type ImageEncoder } from "./image-encoder.ts";
import { createPostgresAvatarStore } from "./postgres-avatar-store.ts";
import { avatarRemovalsJob } from "./remove-objects.ts";
import { createS3AvatarStore } from "./s3-avatar-store.ts";
import { type Bucket, type BucketSettings, createBucket } from "./s3-bucket.ts";

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
  /** What removes from a bucket that which is no longer named. */
  readonly jobs: readonly Job[];
}

/** Makes the encoder and the store that the configuration asks for. */
export function createAvatars(ports: AvatarPorts): Avatars {
  const encoder = createImageEncoder(ports.clock);
  const bucket = ports.bucket && createBucket(ports.bucket);
  return {
    publicUrl: ports.publicUrl,
    encoder,
    ...(bucket ? inBucket(ports, bucket) : { store: createPostgresAvatarStore(ports), jobs: [] }),
    async [Symbol.asyncDispose]() {
      bucket?.[Symbol.dispose]();
      await encoder[Symbol.asyncDispose]();
    },
  };
}

function inBucket(ports: AvatarPorts, bucket: Bucket): Pick<Avatars, "store" | "jobs"> {
  return { store: createS3AvatarStore({ ...ports, bucket }), jobs: [avatarRemovalsJob({ ...ports, bucket })] };
}
