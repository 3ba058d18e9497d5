import type { Clock } from "../../clock.ts";

/** What came of a call: the other side works, it does not, or nothing is known of that. */
export type Verdict = "WELL" | "ILL" | "UNKNOWN";

export interface BreakerOptions {
  readonly clock: Clock;
  /** What a failed call says of the other side. */
  verdictOf(error: unknown): Verdict;
  /** What callers are refused with meanwhile. */
  refusal(retryAfterMs: number): Error;
}

/** Spares a side that does not work: after 5 calls in a row that say so nobody calls for 30 s; then one tries, and the others wait for what comes. */
export interface Breaker {
  run<T>(call: () => Promise<T>): Promise<T>;
}

const MOST_FAILURES = 5;
const OPEN_MS = 30_000;
/** For whoever comes while one tries. */
const PROBE_MS = 1_000;

/** Makes a closed one: everybody calls. */
export function createBreaker({ clock, verdictOf, refusal }: BreakerOptions): Breaker {
  let failures = 0;
  let openUntil: number | undefined;
  let isProbed = false;

  const open = () => {
    openUntil = clock.monotonic() + OPEN_MS;
  };
  const close = () => {
    failures = 0;
    openUntil = undefined;
  };
  const settleProbe = (verdict: Verdict) => {
    isProbed = false;
    if (verdict === "WELL") close();
    if (verdict === "ILL") open();
  };
  const settle = (verdict: Verdict) => {
    // What began before it opened tells nothing new.
    if (openUntil !== undefined || verdict === "UNKNOWN") return;
    failures = verdict === "WELL" ? 0 : failures + 1;
    if (failures >= MOST_FAILURES) open();
  };
  /** Whether this call is the one that tries. */
  const enter = (): boolean => {
    if (openUntil === undefined) return false;
    const left = openUntil - clock.monotonic();
    if (left > 0 || isProbed) throw refusal(Math.max(left, PROBE_MS));
    isProbed = true;
    return true;
  };

  return {
    async run(call) {
      const end = enter() ? settleProbe : settle;
      try {
        const result = await call();
        end("WELL");
        return result;
      } catch (error) {
        end(verdictOf(error));
        throw error;
      }
    },
  };
}
