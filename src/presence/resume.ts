import type { Micros } from "./chain.ts";
import { hash48 } from "./hash48.ts";
import type { Hub } from "./hub.ts";
import { listedBefore } from "./list-digest.ts";
import { type ResumePoint, writeResumeToken } from "./resume-token.ts";
import type { WatchedUser } from "./watched-user.ts";

/** A token older than this saves next to nothing. */
const OLDEST: Micros = 24 * 3_600 * 1_000_000;

/** What this server and another take for the engine's clock differs by less. */
const CLOCK_SLACK: Micros = 2_000_000;

/** Stands for all that a token is good for: the store and its history, the project, and what is in force where nothing was set. */
export const originOf = (identity: string, projectId: string, defaultStatus: string): number =>
  hash48(`${identity} ${projectId} ${defaultStatus}`);

/** Whether a stream can go on from a point, by what the hub knows of the store now. */
export function canResume(
  { origin, confirmed }: ResumePoint,
  hub: Hub,
  projectId: string,
  defaultStatus: string,
): boolean {
  const { identity, now } = hub;
  if (identity === undefined || now === undefined) return false;
  if (origin !== originOf(identity, projectId, defaultStatus)) return false;
  return confirmed <= now && confirmed >= now - OLDEST && !hub.wasTurnedBack(confirmed);
}

/** What a reader that comes back has been told already. */
export class Resumption {
  readonly #point: ResumePoint;
  readonly #listed: ReadonlySet<number>;
  readonly #epoch: number;
  readonly #begun: number;

  /** `hashes` are those of all that is on the reader's list now; the point is of the store's present history. */
  constructor(point: ResumePoint, hashes: ReadonlySet<number>, hub: Hub) {
    this.#point = point;
    this.#epoch = hub.epoch;
    this.#begun = hub.nextEvent();
    this.#listed = listedBefore(point.list, hashes);
  }

  /** Whether it was on the reader's list. */
  wasListed(hash: number): boolean {
    return this.#listed.has(hash);
  }

  /** Whether the store has another history since: what the reader knows may be newer than what there is. */
  isOver({ epoch }: Hub): boolean {
    return epoch !== this.#epoch;
  }

  /** The point, for a reader that was told more meanwhile. */
  tokenAt(time: Micros): Uint8Array {
    return writeResumeToken({ ...this.#point, time });
  }

  /**
   * Whether what this server knows of a user is at least as new as what the reader was told elsewhere, so that nothing goes back in time:
   * whether it was read since.
   */
  isFresh(user: WatchedUser): boolean {
    if (!this.#listed.has(user.hash) || user.readAt > this.#begun) return true;
    return user.confirmedAt >= this.#point.time + CLOCK_SLACK;
  }

  /** Whether the reader knows how things are with a user: of one that is not there, that it was not, if it was not deleted since. */
  knows(user: WatchedUser): boolean {
    if (user.epoch !== this.#epoch || !this.#listed.has(user.hash)) return false;
    if (user.state === "missing") return true;
    return user.span.start <= this.#point.confirmed || this.#point.told.has(user.stateHash);
  }
}
