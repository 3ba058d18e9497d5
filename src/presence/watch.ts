import type { Database } from "../db/orm.ts";
import type { UserKey } from "../users/users.ts";
import type { WatchOwner } from "./watch-change.ts";
import type { WatchMessage } from "./watch-event.ts";
import type { WatchExchange } from "./watch-exchange.ts";
import { type WatchSignals, WatchStream, type WatchStreamDeps } from "./watch-stream.ts";
import { targetsOf } from "./watch-targets.ts";

export interface WatchDeps extends Omit<WatchStreamDeps, "open"> {
  readonly db: Database;
  readonly watches: WatchExchange;
}

export interface WatchInput {
  readonly owner: WatchOwner;
  /** The users to watch, at most 10,000. Ids that belong to nobody look as if never set. */
  readonly keys: readonly UserKey[];
  /** Of an earlier stream's last message, to go on from; empty: a new one. What cannot be gone on from is as good as none. */
  readonly resumeToken: Uint8Array;
  /** The least time between two updates, in milliseconds. */
  readonly minIntervalMs: number;
}

/**
 * Streams the presence of users: opened → update… → snapshot complete → (update | heartbeat | user deleted | resync →
 * update… → snapshot complete)* → goodbye, until a signal or the reader's stalling ends it.
 * @throws what `WatchStream.next` throws, PROJECT_NOT_FOUND
 */
export async function* watchPresence(
  deps: WatchDeps,
  { owner, keys, ...input }: WatchInput,
  signals: WatchSignals,
): AsyncGenerator<WatchMessage, never> {
  const targets = await targetsOf(deps.db, { projectId: owner.projectId, signal: signals.left }, keys);
  signals.left.throwIfAborted();
  const watchId = deps.watches.newWatchId();
  const stream = new WatchStream({ ...deps, open: deps.watches.open }, { ...input, owner, watchId, targets }, signals);
  try {
    for (;;) yield await stream.next();
  } finally {
    stream.close();
  }
}
