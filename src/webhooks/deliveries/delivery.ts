import type { EgressErrorKind } from "../../egress/egress.ts";

/** How a delivery stands: it waits or is under way, its receiver took it, or it was given up. */
export type DeliveryState = "PENDING" | "SUCCEEDED" | "FAILED";

/**
 * Why a delivery was given up: three days of attempts, a receiver that is gone for good, a webhook that was disabled, or an event that is not
 * kept any more.
 */
export type DeliveryFailure = "EXHAUSTED" | "GONE" | "DISABLED" | "EVENT_EXPIRED";

/** An attempt as it is kept. */
export interface AttemptRecord {
  /** When it began, ISO 8601. */
  readonly time: string;
  /** The status of the answer; left out: there was none. */
  readonly status?: number;
  /** Why there was none. */
  readonly error?: EgressErrorKind;
  readonly duration_ms: number;
}

/** A claimed delivery is this process's for this long, in milliseconds: an attempt and the note of what came of it take less. */
export const LEASE_MS = 20_000;
