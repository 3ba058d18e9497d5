import type { Clock } from "../clock.ts";
import type { Access, EndedAccess } from "./ended-access.ts";
import type { RevocationFeed } from "./feed.ts";

/** When it was asked whether an access stands: by the clock, and by what the feed had told. */
export interface Mark {
  readonly at: number;
  readonly told: number;
}

/**
 * Says whether what the database said of an access is still so, without asking it again: as long as the feed, heard to the second, has told of
 * no end of anything that the access stands on. It never says so of what this process has ended, from the moment on that it announced it.
 */
export interface AccessMemory {
  /** To be taken before the database is asked: what ends after the database answered is told after the mark, whenever the answer is kept. */
  mark(): Mark;
  /** Whether an access that stood at the mark still does, for all that was known a second ago. Its ends by time are the caller's own to see. */
  holds(access: Access, mark: Mark): boolean;
}

/** The feed looks twice a second. What ends is refused within a second, so what it knows is relied on for a little less. */
const RELIED_ON_MS = 900;
/** Whatever the feed says, the database is asked again after a minute; what ended is remembered for longer. */
const MOST_AGE_MS = 60_000;

/** A memory that what the feed tells takes from. `ended` has to hear of it before `feed.age` says that it was told. */
export function createAccessMemory(clock: Clock, feed: RevocationFeed, ended: EndedAccess): AccessMemory {
  return {
    mark: () => ({ at: clock.monotonic(), told: ended.told }),
    holds: (access, mark) =>
      feed.age <= RELIED_ON_MS && clock.monotonic() - mark.at < MOST_AGE_MS && !ended.hasEndedSince(access, mark.told),
  };
}
