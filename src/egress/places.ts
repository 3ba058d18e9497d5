import { EgressError } from "./egress.ts";

/** How many requests may be under way at a time, waiting for a connection included: to one origin, and in all. */
const MOST_PER_ORIGIN = 512;
const MOST = 4_096;

/** Counts the requests that are under way. */
export interface Places {
  /** Takes one until it is disposed of. Throws BUSY. */
  take(origin: string): Disposable;
}

/** So that a host which answers slowly holds up neither memory nor the others. */
export function createPlaces(): Places {
  const taken = new Map<string, number>();
  let all = 0;
  return {
    take(origin) {
      const here = taken.get(origin) ?? 0;
      if (here >= MOST_PER_ORIGIN || all >= MOST) throw new EgressError("BUSY", `too many requests to ${origin} wait`);
      taken.set(origin, here + 1);
      all += 1;
      return {
        [Symbol.dispose]() {
          const left = (taken.get(origin) ?? 1) - 1;
          if (left > 0) taken.set(origin, left);
          else taken.delete(origin);
          all -= 1;
        },
      };
    },
  };
}
