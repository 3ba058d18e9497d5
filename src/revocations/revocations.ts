import type { Notifier } from "../db/notifier.ts";
import { type AccessMemory, createAccessMemory } from "./access-memory.ts";
import { EndedAccess } from "./ended-access.ts";
import { type FeedPorts, REVOCATIONS_CHANNEL, type RevocationFeed, startFeed } from "./feed.ts";

export type { AccessMemory, Mark } from "./access-memory.ts";
export { type EndOfAccess, endAccess, endAccessSql, endUserAccess, validFromSql } from "./end-access.ts";
export type { Access } from "./ended-access.ts";
export type { RevocationFeed } from "./feed.ts";
export { beforeTimeAt, forgetAfter, LEEWAY, type Revocation, type RevocationCause } from "./revocation.ts";
export {
  type RevocationEvent,
  type RevocationMessage,
  type WatchRevocationsPorts,
  watchRevocations,
} from "./watch-revocations.ts";

/** Tells all servers, after it was committed, that access ended, so that they look at once. Never fails the call. */
export type AnnounceEnd = () => void;

/** What ends in all projects, for the whole process. */
export interface Revocations extends AsyncDisposable {
  readonly feed: RevocationFeed;
  /** What ended lately, as far as the feed has told. */
  readonly ended: EndedAccess;
  /** For what may be remembered of those who were let in. */
  readonly memory: AccessMemory;
  readonly announceEnd: AnnounceEnd;
}

/** Starts the feed. Dispose it before the listener, the notifier and the database. STORAGE_UNAVAILABLE. */
export async function createRevocations(ports: FeedPorts & { readonly notifier: Notifier }): Promise<Revocations> {
  const feed = await startFeed(ports);
  const ended = new EndedAccess(ports.clock);
  feed.subscribe((revocations) => ended.add(revocations));
  return {
    feed,
    ended,
    memory: createAccessMemory(ports.clock, feed, ended),
    announceEnd() {
      ports.notifier.notify(REVOCATIONS_CHANNEL, "");
      feed.wake();
    },
    [Symbol.asyncDispose]: () => feed[Symbol.asyncDispose](),
  };
}
