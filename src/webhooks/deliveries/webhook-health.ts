import type { DisabledCause } from "../webhook.entity.ts";
import type { Outcome } from "./outcome.ts";

/** How a webhook does, as far as its sender goes by it. */
export interface WebhookHealth {
  /** When the first attempt began since which none has succeeded; null: the last one did, or there was none. */
  readonly failingSince: Date | null;
  /** Until when nothing is sent to it, because it asked for that; null, or past: nothing holds it. */
  readonly resumeTime: Date | null;
}

/** What follows from the outcomes of attempts. */
export interface Judgement extends WebhookHealth {
  /** Why it is disabled, if it is to be. */
  readonly disable: Exclude<DisabledCause, "REQUESTED"> | undefined;
}

/** A webhook that fails for longer gets one delivery at a time: until it is back, more would only be harm to it, and to others a hold-up. */
const CAREFUL_AFTER_MS = 30_000;
/** The longest that all of a webhook rests because one answer asked for it. */
const LONGEST_REST_MS = 3_600_000;
/** Answers that speak of the server and not of what it was sent. */
const ASKS_FOR_REST: ReadonlySet<number> = new Set([429, 503]);

/** How many deliveries may be under way to a webhook. */
export const concurrencyOf = (
  { maxConcurrency, failingSince }: { maxConcurrency: number; failingSince: Date | null },
  nowMs: number,
): number =>
  failingSince && nowMs - failingSince.getTime() > CAREFUL_AFTER_MS ? Math.min(1, maxConcurrency) : maxConcurrency;

/**
 * Held against its rules: 410 disables a webhook, and so does a delivery that was tried for three days in which no other succeeded. 429 and 503
 * with Retry-After hold everything back.
 */
export function judge(before: WebhookHealth, outcomes: readonly Outcome[], nowMs: number): Judgement {
  const attempted = outcomes.filter(({ attempt }) => attempt !== undefined);
  const hasSucceeded = attempted.some(({ state }) => state === "SUCCEEDED");
  const failed = attempted.filter(({ state }) => state !== "SUCCEEDED");
  const failedFrom = failed.map(({ attempt }) => attempt?.timeMs ?? nowMs);
  const firstFailure = failedFrom.length > 0 ? new Date(Math.min(...failedFrom)) : null;
  const failingSince = hasSucceeded ? null : (before.failingSince ?? firstFailure);
  const isGone = failed.some(({ failure }) => failure === "GONE");
  const isFailing = failed.some((outcome) => hasFailedThroughout(outcome, failingSince));
  return {
    failingSince,
    resumeTime: restOf(before, failed, nowMs),
    disable: isGone ? "GONE" : isFailing ? "FAILING" : undefined,
  };
}

const hasFailedThroughout = ({ failure, claimed }: Outcome, failingSince: Date | null): boolean =>
  failure === "EXHAUSTED" &&
  failingSince !== null &&
  claimed.firstAttemptTime !== null &&
  failingSince <= claimed.firstAttemptTime;

function restOf({ resumeTime }: WebhookHealth, failed: readonly Outcome[], nowMs: number): Date | null {
  const asked = failed
    .map(({ attempt }) => (ASKS_FOR_REST.has(attempt?.status ?? 0) ? (attempt?.retryAfterMs ?? 0) : 0))
    .filter((ms) => ms > 0);
  const restMs = Math.min(Math.max(0, ...asked), LONGEST_REST_MS);
  const until = Math.max(nowMs + restMs, resumeTime?.getTime() ?? 0);
  return until > nowMs ? new Date(until) : null;
}
