import type { Clock } from "./clock.ts";

/**
 * Rings once at a moment that is put off much oftener than it comes: putting it off costs nothing, as the timer under way is left to find out that it is
 * too early.
 */
export class Alarm implements Disposable {
  readonly #clock: Clock;
  readonly #ring: () => void;
  #at = Number.POSITIVE_INFINITY;
  #timer: Disposable | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  /** Rings at `at`, in the milliseconds of the monotonic clock, instead of at what was set before. */
  set(at: number): void {
    this.#at = at;
    if (at >= this.#timerAt) return;
    this.#timer?.[Symbol.dispose]();
    this.#timerAt = at;
    this.#timer = this.#clock.schedule(Math.max(0, Math.ceil(at - this.#clock.monotonic())), () => this.#look());
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#at = this.#timerAt = Number.POSITIVE_INFINITY;
  }

  #look(): void {
    const at = this.#at;
    this.#at = this.#timerAt = Number.POSITIVE_INFINITY;
    if (at > this.#clock.monotonic()) this.set(at);
    else this.#ring();
  }
}
