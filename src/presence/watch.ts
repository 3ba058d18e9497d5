import type { Database } from "../db/orm.ts";
import type { NewId } from "../ids.ts";
import type { UserKey } from "../users/users.ts";
import { keyOf, type Subject } from "./engine.ts";
import { subjectsOf } from "./subjects.ts";
import { type WatchMessage, type WatchSignals, WatchStream, type WatchStreamDeps } from "./watch-stream.ts";

export interface WatchDeps extends WatchStreamDeps {
  readonly db: Database;
  readonly newId: NewId;
}

export interface WatchInput {
  readonly projectId: string;
  /** The users to watch, at most 10,000. Ids that belong to nobody look as if never set. */
  readonly keys: readonly UserKey[];
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
  input: WatchInput,
  signals: WatchSignals,
): AsyncGenerator<WatchMessage, never> {
  const { projectId, keys, minIntervalMs } = input;
  const subjects = await subjectsOf(deps.db, { projectId, signal: signals.left }, keys);
  signals.left.throwIfAborted();
  const once = new Map(
    subjects.flatMap((subject): [string, Subject][] => (subject ? [[keyOf(subject), subject]] : [])),
  );
  const unknown = keys.filter(({ by }, index) => by === "externalId" && !subjects[index]);
  const stream = new WatchStream(
    deps,
    {
      watchId: deps.newId(),
      projectId,
      subjects: [...once.values()],
      unknownExternalIds: [...new Set(unknown.map(({ value }) => value))],
      minIntervalMs,
    },
    signals,
  );
  try {
    for (;;) yield await stream.next();
  } finally {
    stream.close();
  }
}
