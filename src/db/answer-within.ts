import type { Clock } from "../clock.ts";
import { MusterError } from "../errors.ts";

/**
 * The outcome of `work` in the database, unless it takes longer than `ms`: its connection may be dead without a word. `clock` is the
 * machine's own, whatever the time is elsewhere. STORAGE_UNAVAILABLE.
 */
export async function answerWithin<T>(clock: Clock, ms: number, work: Promise<T>): Promise<T> {
  const { promise: lost, reject } = Promise.withResolvers<never>();
  using _ = clock.schedule(ms, () => reject(new MusterError("STORAGE_UNAVAILABLE", { retryAfterMs: 1_000 })));
  return await Promise.race([work, lost]);
}
