import { MusterError } from "../errors.ts";
import type { Logger } from "../logger.ts";

/** Does work that no answer waits for, one piece after the other. Disposing it waits for what was taken. */
export interface Background extends AsyncDisposable {
  /** Takes a piece of work; what it fails with is logged. RATE_LIMITED where too much waits. */
  add(work: () => Promise<void>): void;
}

const MOST_WAITING = 1_000;
/** Pieces that are done at the same time. */
const AT_ONCE = 4;
const RETRY_MS = 5_000;

/** A queue without work. */
export function createBackground(logger: Logger): Background {
  const waiting: (() => Promise<void>)[] = [];
  const running = new Set<Promise<void>>();

  async function drain(): Promise<void> {
    for (let work = waiting.shift(); work; work = waiting.shift())
      await work().catch((error: unknown) => logger.warn({ err: error }, "work in the background failed"));
  }

  return {
    add(work) {
      if (waiting.length >= MOST_WAITING) throw new MusterError("RATE_LIMITED", { retryAfterMs: RETRY_MS });
      waiting.push(work);
      if (running.size >= AT_ONCE) return;
      // Begins after the call that gave the work has its answer.
      const turn = Promise.resolve()
        .then(drain)
        .finally(() => running.delete(turn));
      running.add(turn);
    },
    async [Symbol.asyncDispose]() {
      while (running.size > 0) await Promise.all(running);
    },
  };
}
