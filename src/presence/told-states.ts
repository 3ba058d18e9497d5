import type { Micros } from "./chain.ts";
import { ListDigest } from "./list-digest.ts";
import { writeResumeToken } from "./resume-token.ts";
import type { WatchedUser } from "./watched-user.ts";

/** What commits late may be this much older than the reading that did not show it. */
const SLACK: Micros = 5_000_000;
/** Every watched user is read again within this time: what began earlier is confirmed. */
const RECENT: Micros = 70_000_000;
/** How many of the latest states are named one by one: those beyond are told again after a resume. */
const MOST_TOLD = 30;

/**
 * What a stream has told its reader, kept so that a resume token can be made of it at any moment. Everything that began up to `confirmed`
 * was told: each user was read after that, and what was read was told. Of what began later, the latest states are named one by one, so
 * that they are not told twice.
 */
export class ToldStates {
  #list = new ListDigest();
  /** States that began a short while ago, with when. */
  readonly #recent = new Map<number, Micros>();
  #origin = 0;
  #epoch = 0;
  #confirmed: Micros | undefined;

  /** Whether there is a point to go on from. */
  get isConfirmed(): boolean {
    return this.#confirmed !== undefined;
  }

  /** Takes in that the reader has been told how things are with a user; `isNew`: it had not been told of it before. */
  tell(user: WatchedUser, isNew: boolean, now: Micros): void {
    if (isNew) this.#include(user);
    const { start } = user.span;
    if (start < now - RECENT) return;
    const { stateHash: state } = user;
    this.#recent.delete(state);
    this.#recent.set(state, start);
    if (this.#recent.size > MOST_TOLD)
      for (const oldest of this.#recent.keys()) return void this.#recent.delete(oldest);
  }

  /** Takes in that the reader has been told of an external id that belongs to nobody. */
  tellUnknown(hash: number): void {
    this.#list.add(hash);
  }

  /** Takes in that something, of which the reader was told, is off its list. */
  forget(hash: number): void {
    this.#list.delete(hash);
  }

  /** Nothing of what was told may be true any more. */
  clear(): void {
    this.#list = new ListDigest();
    this.#recent.clear();
    this.#confirmed = undefined;
  }

  /**
   * Moves the point on, where it can be: `users` are all that the reader was told of, `untold` those of them of which there is something
   * new to tell. `epoch` counts the histories of the store, `origin` stands for the present one.
   */
  confirm(users: Iterable<WatchedUser>, untold: ReadonlySet<WatchedUser>, now: Micros, epoch: number, origin: number) {
    let confirmed = now;
    for (const user of users) {
      if (user.epoch !== epoch) return;
      confirmed = Math.min(confirmed, user.confirmedAt, untold.has(user) ? user.span.start : now);
    }
    // What is to be told of a user that is gone has no beginning.
    if (!Number.isFinite(confirmed)) return;
    this.#confirmed = confirmed - SLACK;
    this.#epoch = epoch;
    this.#origin = origin;
    for (const [state, start] of this.#recent) if (start <= this.#confirmed) this.#recent.delete(state);
  }

  /** The token of this moment; empty: nothing is confirmed. */
  token(time: Micros): Uint8Array {
    if (this.#confirmed === undefined) return new Uint8Array();
    return writeResumeToken({
      origin: this.#origin,
      confirmed: this.#confirmed,
      time,
      list: this.#list.toBytes(),
      told: this.#recent,
    });
  }

  #include({ hash, epoch, confirmedAt }: WatchedUser): void {
    this.#list.add(hash);
    if (this.#confirmed === undefined) return;
    if (epoch === this.#epoch) this.#confirmed = Math.min(this.#confirmed, confirmedAt - SLACK);
    else this.#confirmed = undefined;
  }
}
