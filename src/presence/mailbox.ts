import type { Clock } from "../clock.ts";
import type { UserWatcher, WatchedUser } from "./watched-user.ts";

/**
 * What a reader has to look at again: users, not what happened to them. However slow the reader, it holds each of its users
 * at most once, and states in between are skipped.
 */
export class Mailbox implements UserWatcher {
  readonly dirty = new Set<WatchedUser>();
  /** Whether the engine lost something the reader was told of. */
  rolledBack = false;
  readonly #clock: Clock;
  #wake: (() => void) | undefined;
  /** Rung while nobody waited: the next wait is over at once. */
  #rung = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  onChange(user: WatchedUser): void {
    this.dirty.add(user);
    this.ring();
  }

  onRollback(): void {
    this.rolledBack = true;
    this.ring();
  }

  /** Ends the wait under way, or the next one. */
  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Resolves when something comes or the bell is rung, after `ms` at the latest. One may wait at a time. */
  async wait(ms: number): Promise<void> {
    if (this.#rung) {
      this.#rung = false;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#clock.schedule(Math.max(0, Math.ceil(ms)), resolve);
    this.#wake = resolve;
    await promise;
    this.#wake = undefined;
    this.#rung = false;
    timer[Symbol.dispose]();
  }
}
