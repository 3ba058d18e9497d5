import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "../../src/clock.ts";

export interface FakeClock extends Clock {
  /** Moves both readings on, running what falls due on the way in order of time, each after what the one before set off. */
  advance(ms: number): Promise<void>;
  /** Moves the wall clock alone, as setting the machine's clock does. */
  step(ms: number): void;
  /** How many scheduled actions wait. */
  readonly pending: number;
}

interface Action {
  readonly due: number;
  readonly run: () => void;
}

/** Midday of an ordinary day. */
const START_MS = Date.UTC(2026, 0, 15, 12);

/** A clock that stands still until it is moved. */
export function createFakeClock(startMs = START_MS): FakeClock {
  let elapsed = 0;
  let offset = startMs;
  const actions = new Set<Action>();
  const nextUntil = (end: number): Action | undefined => {
    let next: Action | undefined;
    for (const action of actions) if (action.due <= end && (!next || action.due < next.due)) next = action;
    return next;
  };
  return {
    now: () => offset + elapsed,
    monotonic: () => elapsed,
    schedule(delayMs, run) {
      const action = { due: elapsed + Math.max(0, delayMs), run };
      actions.add(action);
      return { [Symbol.dispose]: () => void actions.delete(action) };
    },
    async advance(ms) {
      const end = elapsed + ms;
      await settle();
      for (let next = nextUntil(end); next; next = nextUntil(end)) {
        actions.delete(next);
        elapsed = Math.max(elapsed, next.due);
        next.run();
        await settle();
      }
      elapsed = end;
    },
    step: (ms) => {
      offset += ms;
    },
    get pending() {
      return actions.size;
    },
  };
}

/** Lets promises that are settled already have their effects. */
async function settle(): Promise<void> {
  await nextTurn();
  await nextTurn();
}
