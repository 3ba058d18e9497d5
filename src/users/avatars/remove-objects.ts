import type { Clock } from "../../clock.ts";
import type { Database } from "../../db/orm.ts";
import { query } from "../../db/statement.ts";
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

/** How often it is looked for objects to remove, in milliseconds. */
const INTERVAL_MS = 10_000;
/** How many objects are taken at a time: what is taken by a process that is killed waits for a minute. */
const BATCH = 20;
/** From this try on a failure is worth a warning. */
const WARN_FROM = 3;

interface Removal {
  readonly projectId: string;
  readonly objectId: string;
  readonly attempts: number;
}

/** Removes from the bucket what no avatar names any more, from now on until it is disposed; what fails is tried again later. */
export function startRemovals(ports: RemovalPorts): AsyncDisposable {
  const { clock, logger } = ports;
  let timer: Disposable | undefined;
  let ended = false;
  let running: Promise<void> | undefined;

  const run = () => {
    running = removeAll(ports, () => ended)
      .catch((error: unknown) => logger.debug({ err: error }, "removals of avatars could not be read"))
      .finally(() => {
        if (!ended) timer = clock.schedule(INTERVAL_MS, run);
      });
  };
  run();
  return {
    async [Symbol.asyncDispose]() {
      ended = true;
      timer?.[Symbol.dispose]();
      await running;
    },
  };
}

/** Works through what is due. */
async function removeAll(ports: RemovalPorts, isEnded: () => boolean): Promise<void> {
  const { db, clock } = ports;
  while (!isEnded()) {
    const taken = await query<Removal & Record<string, unknown>>(db.pool, TAKE_REMOVALS, [
      new Date(clock.now()),
      BATCH,
    ]);
    await Promise.all(taken.map((removal) => remove(ports, removal)));
    if (taken.length < BATCH) return;
  }
}

async function remove({ db, bucket, logger }: RemovalPorts, { projectId, objectId, attempts }: Removal): Promise<void> {
  try {
    for (const size of AVATAR_SIZES) await bucket.remove(keyOf(projectId, objectId, size));
    await query(db.pool, FORGET_REMOVAL, [projectId, objectId]);
  } catch (error) {
    const level = attempts >= WARN_FROM ? "warn" : "debug";
    logger[level](
      { err: error, attempts },
      "an avatar could not be removed from the object storage; it is tried again",
    );
  }
}
