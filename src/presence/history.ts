import type { Micros } from "./chain.ts";
import type { Reading } from "./engine.ts";

/** What the readings of one process, one after the other, tell of the store's history. */
export class History {
  identity: string | undefined;
  /** Counts the identities there were. */
  epoch = 0;
  #latest: Micros = 0;
  /** The times that the engine's clock has shown more than once. */
  readonly #twice = { from: Number.POSITIVE_INFINITY, to: Number.NEGATIVE_INFINITY };

  learn({ identity, now }: Pick<Reading, "identity" | "now">): void {
    if (identity !== this.identity) {
      this.identity = identity;
      this.epoch++;
    }
    if (now < this.#latest) {
      this.#twice.from = Math.min(this.#twice.from, now);
      this.#twice.to = Math.max(this.#twice.to, this.#latest);
    }
    this.#latest = now;
  }

  wasTurnedBack(time: Micros): boolean {
    return time >= this.#twice.from && time <= this.#twice.to;
  }
}
