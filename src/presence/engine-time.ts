import type { Clock } from "../clock.ts";
import type { Micros } from "./chain.ts";

/** This process's view of the engine's clock, carried on by the monotonic one between reads: no wall clock takes part. */
export class EngineTime {
  readonly #clock: Clock;
  /** Engine time less monotonic time, in microseconds; at or a round trip's length below the truth. */
  #offset = 0;
  #known = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether the engine's clock was ever seen. */
  get known(): boolean {
    return this.#known;
  }

  /** The engine's clock now, or a round trip's length earlier: what waits for a moment comes late, never early. */
  now(): Micros {
    return Math.floor(this.#clock.monotonic() * 1_000 + this.#offset);
  }

  /** When the engine's clock will show `time`, in milliseconds of the monotonic clock. */
  monotonicAt(time: Micros): number {
    return (time - this.#offset) / 1_000;
  }

  /** Takes in that the engine's clock was at `time` at some moment between `sentAt` (monotonic, in ms) and now. */
  learn(time: Micros, sentAt: number): void {
    this.#known = true;
    const least = time - this.#clock.monotonic() * 1_000;
    const most = time - sentAt * 1_000;
    this.#offset = Math.min(Math.max(this.#offset, least), most);
  }
}
