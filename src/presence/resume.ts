import type { Micros } from "./chain.ts";
import { hash48 } from "./hash48.ts";
import type { Hub } from "./hub.ts";
import { listedBefore } from "./list-digest.ts";
import type { ResumePoint } from "./resume-token.ts";
import { stateHash } from "./told-states.ts";
import type { WatchedUser } from "./watched-user.ts";

/** A token older than this saves next to nothing. */
const OLDEST: Micros = 24 * 3_600 * 1_000_000;

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

  /** `hashes` are those of all that is on the reader's list now, `epoch` the history of the store that the point is of. */
  constructor(point: ResumePoint, hashes: ReadonlySet<number>, epoch: number) {
    this.#point = point;
    this.#epoch = epoch;
    this.#listed = listedBefore(point.list, hashes);
  }

  /** Whether it was on the reader's list. */
  wasListed(hash: number): boolean {
    return this.#listed.has(hash);
  }

  /** Whether the reader knows how things are with a user: of one that is not there, that it was not, if it was not deleted since. */
  knows(user: WatchedUser): boolean {
    if (user.epoch !== this.#epoch || !this.#listed.has(user.hash)) return false;
    if (user.state === "missing") return true;
    return user.span.start <= this.#point.confirmed || this.#point.told.has(stateHash(user));
  }
}
