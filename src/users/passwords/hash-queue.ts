import { availableParallelism } from "node:os";
import { MusterError } from "../../errors.ts";

/** Lets hashes through a few at a time: they take all of a processor and megabytes of memory, and threads that DNS and files need, too. */
export interface HashQueue {
  /** How many wait. */
  readonly waiting: number;
  /** Does the work when it has its turn. RATE_LIMITED if too many wait; the signal's reason if the caller leaves while it waits. */
  run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
}

export interface HashQueueLimits {
  readonly mostAtOnce: number;
  readonly mostWaiting: number;
}

/** libuv has four threads unless told otherwise: two are left for everything else. */
export const HASH_QUEUE_LIMITS: HashQueueLimits = { mostAtOnce: Math.min(2, availableParallelism()), mostWaiting: 64 };

/** When to come back after a refusal because too many wait, in milliseconds. */
const RETRY_MS = 2_000;

/** A queue in which the first that comes is served first. */
export function createHashQueue({ mostAtOnce, mostWaiting } = HASH_QUEUE_LIMITS): HashQueue {
  const waiting = new Set<() => void>();
  let running = 0;

  async function turn(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (running < mostAtOnce) {
      running++;
      return;
    }
    if (waiting.size >= mostWaiting) throw new MusterError("RATE_LIMITED", { retryAfterMs: RETRY_MS });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const leave = () => {
      if (waiting.delete(resolve)) reject(signal?.reason as Error);
    };
    waiting.add(resolve);
    signal?.addEventListener("abort", leave, { once: true });
    await promise.finally(() => signal?.removeEventListener("abort", leave));
  }

  /** Hands the turn to the next one, which then counts as running in place of this one. */
  function pass(): void {
    const [next] = waiting;
    if (!next) running--;
    else {
      waiting.delete(next);
      next();
    }
  }

  return {
    get waiting() {
      return waiting.size;
    },
    async run(work, signal) {
      await turn(signal);
      try {
        return await work();
      } finally {
        pass();
      }
    },
  };
}
