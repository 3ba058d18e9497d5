import type { Clock } from "../clock.ts";

/** Timers of which most are cleared before they go off: to set one costs next to nothing, and they go off up to a twelfth late. */
export interface CoarseTimers {
  /** Calls `action` once the time has passed, and `extraMs` milliseconds. The timer that this key had before is cleared. */
  set(key: object, extraMs: number, action: () => void): void;
  clear(key: object): void;
}

/** How often it is looked for timers that are due, in parts of their time. */
const LOOKS = 12;

/** @param timeoutMs The time of each timer, in milliseconds. */
export function createCoarseTimers(timeoutMs: number, clock: Clock): CoarseTimers {
  const waiting = new Map<object, { readonly until: number; readonly action: () => void }>();
  let looking = false;
  const look = () => {
    const now = clock.monotonic();
    for (const [key, { until, action }] of waiting) {
      if (until > now) continue;
      waiting.delete(key);
      action();
    }
    looking = waiting.size > 0;
    if (looking) clock.schedule(timeoutMs / LOOKS, look);
  };
  return {
    set(key, extraMs, action) {
      waiting.set(key, { until: clock.monotonic() + timeoutMs + extraMs, action });
      if (looking) return;
      looking = true;
      clock.schedule(timeoutMs / LOOKS, look);
    },
    clear: (key) => void waiting.delete(key),
  };
}
