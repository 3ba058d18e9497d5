/** For how long after its first attempt a delivery is attempted again, in milliseconds. */
export const RETRY_FOR_MS = 72 * 3_600_000;

/** The longest wait after the first attempt, after the second, and so on; then the last of them again and again. Milliseconds. */
const LONGEST_WAITS_MS = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400].map(
  (seconds) => seconds * 1_000,
);
/** The longest that a receiver may ask for. */
export const LONGEST_WAIT_MS = LONGEST_WAITS_MS.at(-1) as number;

export interface FailedAttempt {
  readonly nowMs: number;
  readonly firstAttemptMs: number;
  /** Attempts so far, this one included. */
  readonly attempts: number;
  /** What the receiver asked for. */
  readonly retryAfterMs?: number | undefined;
  /** From 0 up to, but not, 1. */
  readonly random: number;
}

/**
 * When a delivery is attempted again, in milliseconds since the epoch; undefined: it was tried for three days. Waits are anywhere between nothing
 * and a bound that grows, so that deliveries which failed together do not come back together. The last attempt is made when the three days end.
 */
export function nextAttempt({ nowMs, firstAttemptMs, attempts, retryAfterMs = 0, random }: FailedAttempt) {
  const lastMs = firstAttemptMs + RETRY_FOR_MS;
  if (nowMs >= lastMs) return undefined;
  const longest = LONGEST_WAITS_MS[attempts - 1] ?? LONGEST_WAIT_MS;
  const wanted = Math.min(nowMs + Math.ceil(random * longest), lastMs);
  return Math.max(wanted, nowMs + Math.min(retryAfterMs, LONGEST_WAIT_MS));
}

/** RFC 9110 §10.2.3: for how long to wait, from seconds or a date; undefined: it says neither. */
export function readRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,10}$/.test(value)) return Number(value) * 1_000;
  const at = /^[A-Z][a-z]{2},/.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
