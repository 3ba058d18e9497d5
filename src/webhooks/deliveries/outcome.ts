import type { DeliveryFailure, DeliveryState } from "./delivery.ts";
import { nextAttempt } from "./retry-schedule.ts";
import type { Attempt } from "./send-delivery.ts";

/** A delivery that this process has claimed. */
export interface Claimed {
  readonly eventId: string;
  /** Which claim it is. */
  readonly runId: string;
  /** Attempts so far. */
  readonly attemptCount: number;
  readonly firstAttemptTime: Date | null;
}

/** What is to be noted of a claimed delivery. */
export interface Outcome {
  readonly claimed: Claimed;
  readonly state: DeliveryState;
  readonly failure?: DeliveryFailure;
  /** When the next attempt is made; given for one that is still pending. */
  readonly nextAttemptMs?: number;
  /** Left out: none was made. */
  readonly attempt?: Attempt;
}

/** The longest wait where nobody could be asked because too many requests were under way. */
const BUSY_MS = 5_000;

/** What an attempt makes of a delivery. `random`: from 0 up to 1. */
export function outcomeOf(claimed: Claimed, attempt: Attempt, nowMs: number, random: number): Outcome {
  const { status = 0, error, timeMs, retryAfterMs } = attempt;
  if (status >= 200 && status < 300) return { claimed, state: "SUCCEEDED", attempt };
  if (status === 410) return { claimed, state: "FAILED", failure: "GONE", attempt };
  if (error === "BUSY") return { claimed, state: "PENDING", nextAttemptMs: nowMs + Math.ceil(random * BUSY_MS) };
  const firstAttemptMs = claimed.firstAttemptTime?.getTime() ?? timeMs;
  const attempts = claimed.attemptCount + 1;
  const nextAttemptMs = nextAttempt({ nowMs, firstAttemptMs, attempts, retryAfterMs, random });
  if (nextAttemptMs === undefined) return { claimed, state: "FAILED", failure: "EXHAUSTED", attempt };
  return { claimed, state: "PENDING", nextAttemptMs, attempt };
}

/** A claim that is given back without an attempt. */
export const released = (claimed: Claimed, nowMs: number): Outcome => ({
  claimed,
  state: "PENDING",
  nextAttemptMs: nowMs,
});

/** As NOTE takes it. */
export const outcomeRecord = ({ claimed, state, failure, nextAttemptMs, attempt }: Outcome) => ({
  event_id: claimed.eventId,
  run_id: claimed.runId,
  state,
  failure,
  next_attempt_time: nextAttemptMs === undefined ? undefined : new Date(nextAttemptMs).toISOString(),
  attempt: attempt && {
    time: new Date(attempt.timeMs).toISOString(),
    status: attempt.status,
    error: attempt.error,
    duration_ms: attempt.durationMs,
  },
});
