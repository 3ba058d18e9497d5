import type { Clock } from "../clock.ts";

/** Answers whose readers have to take them within a time. */
export interface StalledReaders {
  /** From now on `answer`'s reader has so long for that many bytes; `breakOff` cuts it off. A wait before is over. */
  wait(answer: object, bytes: number, breakOff: () => void): void;
  /** The reader has taken what there was. */
  go(answer: object): void;
}

/** A reader has to take at least so much, in bytes per millisecond, beside the time that it is given anyway. */
const SLOWEST = 16;
/** How often it is looked for stalled readers, in parts of the time they are given. */
const LOOKS = 12;

/** @param stallTimeoutMs How long a reader may accept nothing. It is then cut off: what it does not take is held in memory. */
export function createStalledReaders(stallTimeoutMs: number, clock: Clock): StalledReaders {
  const waiting = new Map<object, { readonly until: number; readonly breakOff: () => void }>();
  let looking = false;
  const look = () => {
    const now = clock.monotonic();
    for (const [answer, { until, breakOff }] of waiting) {
      if (until > now) continue;
      waiting.delete(answer);
      breakOff();
    }
    looking = waiting.size > 0;
    if (looking) clock.schedule(stallTimeoutMs / LOOKS, look);
  };
  return {
    wait(answer, bytes, breakOff) {
      waiting.set(answer, { until: clock.monotonic() + stallTimeoutMs + bytes / SLOWEST, breakOff });
      if (looking) return;
      looking = true;
      clock.schedule(stallTimeoutMs / LOOKS, look);
    },
    go: (answer) => void waiting.delete(answer),
  };
}
