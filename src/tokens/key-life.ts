/** The times of a signing key, in milliseconds since the epoch. */
export interface KeyTimes {
  /** From when on it signs. */
  readonly activateTime: number;
  /** From when on it signs nothing more; undefined: no other key follows it yet. */
  readonly retireTime: number | undefined;
  /** No token that it signed ends later. */
  readonly lastExpireTime: number;
}

/**
 * PREPARED: published, signs nothing yet. ACTIVE: signs. RETIRING: signs nothing more, its tokens live out their time. GONE: neither
 * published nor accepted, whether its row is still there or not.
 */
export type KeyState = "PREPARED" | "ACTIVE" | "RETIRING" | "GONE";

/** How far the clocks of two processes may be apart: a key stays this long after the last of its tokens, in milliseconds. */
const CLOCK_SKEW_MS = 60_000;

/** What a key does at a moment, in milliseconds since the epoch. Every process finds the same by itself. */
export function keyStateAt({ activateTime, retireTime, lastExpireTime }: KeyTimes, nowMs: number): KeyState {
  if (nowMs < activateTime) return "PREPARED";
  if (retireTime === undefined || nowMs < retireTime) return "ACTIVE";
  return nowMs < Math.max(retireTime, lastExpireTime) + CLOCK_SKEW_MS ? "RETIRING" : "GONE";
}

/** The moment before which a key must have ended, by its retirement and by the last of its tokens, to be gone at `nowMs`. */
export const goneBefore = (nowMs: number): Date => new Date(nowMs - CLOCK_SKEW_MS);
