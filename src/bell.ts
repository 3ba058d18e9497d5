import type { Clock } from "./clock.ts";

/** What wakes one who waits. A wake-up says no more than that it is time to look again. */
export class Bell {
  readonly #clock: Clock;
  #wake: (() => void) | undefined;
  /** Rung while nobody waited: the next wait is over at once. */
  #rung = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Ends the wait under way, or the next one. */
  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Resolves when it is rung, after `ms` at the latest if that is given. One may wait at a time. */
  async wait(ms?: number): Promise<void> {
    if (this.#rung) {
      this.#rung = false;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = ms === undefined ? undefined : this.#clock.schedule(Math.max(0, Math.ceil(ms)), resolve);
    this.#wake = resolve;
    await promise;
    this.#wake = undefined;
    this.#rung = false;
    timer?.[Symbol.dispose]();
  }
}
