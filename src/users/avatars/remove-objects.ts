import type { Clock } from "../../clock.ts";
import type { Database } from "../../db/orm.ts";
import { query } from "../../db/statement.ts";
import type { Job } from "../../jobs/job.ts";
import type { Logger } from "../../logger.ts";
import { AVATAR_SIZES } from "./avatar-images.ts";
import { FORGET_REMOVAL, TAKE_REMOVALS } from "./avatar-statements.ts";
import { keyOf } from "./s3-avatar-store.ts";
import type { Bucket } from "./s3-bucket.ts";

export interface RemovalPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly bucket: Bucket;
}

/** How long after a look the next one follows, in milliseconds. */
const EVERY_MS = 10_000;
/** How many objects are taken at a time: what is taken by a process that is killed waits for a minute. */
const BATCH = 20;
/** From this try on a failure is worth a warning. */
const WARN_FROM = 3;

interface Removal extends Record<string, unknown> {
  readonly projectId: string;
  readonly objectId: string;
  readonly attempts: number;
}

/** The job that removes from the bucket what no avatar names any more. What fails is tried again later, and the run has failed then. */
export function avatarRemovalsJob(ports: RemovalPorts): Job {
  const { db, clock } = ports;
  return {
    name: "avatar-removals",
    everyMs: EVERY_MS,
    async run(signal) {
      let failures = 0;
      for (let taken: Removal[] | undefined; !taken || taken.length === BATCH; ) {
        taken = await query<Removal>(db.pool, TAKE_REMOVALS, [new Date(clock.now()), BATCH], signal);
        const removed = await Promise.all(taken.map((removal) => remove(ports, removal, signal)));
        failures += removed.filter((isRemoved) => !isRemoved).length;
      }
      if (failures > 0) throw new Error(`${failures} avatars could not be removed from the object storage`);
    },
  };
}

/** Whether the object is gone. Rejects where the signal aborts. */
async function remove(
  { db, bucket, logger }: RemovalPorts,
  { projectId, objectId, attempts }: Removal,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    for (const size of AVATAR_SIZES) await bucket.remove(keyOf(projectId, objectId, size), signal);
    await query(db.pool, FORGET_REMOVAL, [projectId, objectId], signal);
    return true;
  } catch (error) {
    signal.throwIfAborted();
    const level = attempts >= WARN_FROM ? "warn" : "debug";
    logger[level](
      { err: error, attempts },
      "an avatar could not be removed from the object storage; it is tried again",
    );
    return false;
  }
}
