import type { Database } from "../db/orm.ts";
import type { StreamSignals } from "../pulled-stream.ts";
import type { UserKey } from "../users/users.ts";
import type { WatchOwner } from "./watch-change.ts";
import type { WatchMessage } from "./watch-event.ts";
import type { WatchExchange } from "./watch-exchange.ts";
import { WatchStream, type WatchStreamDeps } from "./watch-stream.ts";
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
 * update… → snapshot complete)* → goodbye, until a signal, the reader's stalling or `return` ends it. Nothing is opened before the first `next`.
 * @throws what `WatchStream.next` throws, PROJECT_NOT_FOUND
 */
export function watchPresence(
  deps: WatchDeps,
  input: WatchInput,
  signals: StreamSignals,
): AsyncIterableIterator<WatchMessage, undefined> {
  let stream: WatchStream | undefined;
  let isOver = false;
  const end = () => {
    isOver = true;
    stream?.close();
    signals.onOver?.();
  };
  const messages: AsyncIterableIterator<WatchMessage, undefined> = {
    async next() {
      try {
        if (!isOver) stream ??= await open(deps, input, signals);
        if (!isOver && stream) return { done: false, value: await stream.next() };
      } catch (error) {
        end();
        throw error;
      }
      // The reader left while it was opened.
      stream?.close();
      return DONE;
    },
    async return() {
      end();
      return DONE;
    },
    [Symbol.asyncIterator]: () => messages,
  };
  return messages;
}

const DONE = { done: true, value: undefined } as const;

async function open(deps: WatchDeps, { owner, keys, ...input }: WatchInput, signals: StreamSignals) {
  const targets = await targetsOf(deps.db, { projectId: owner.projectId, signal: signals.left }, keys);
  signals.left.throwIfAborted();
  const watchId = deps.watches.newWatchId();
  return new WatchStream({ ...deps, open: deps.watches.open }, { ...input, owner, watchId, targets }, signals);
}
