import type { Clock } from "../clock.ts";

/** Timers of which most are cleared before they go off: to set one costs next to nothing, and they go off up to a twelfth late. */
export interface CoarseTimers {
  /** Tells `waiter` once the time has passed, and `extraMs` milliseconds, unless the timer is cleared before. */
  start(extraMs: number, waiter: Waiter): CoarseTimer;
  /** Calls `action` once the time has passed, and `extraMs` milliseconds. The timer that this key had before is cleared. */
  set(key: object, extraMs: number, action: () => void): void;
  clear(key: object): void;
}

/** Who waits for a timer. */
export interface Waiter {
  expire(): void;
}

export interface CoarseTimer {
  clear(): void;
}

/** How often it is looked for timers that are due, in parts of their time. */
const LOOKS = 12;

/** @param timeoutMs The time of each timer, in milliseconds. */
export function createCoarseTimers(timeoutMs: number, clock: Clock): CoarseTimers {
  const running = new Running(timeoutMs, clock);
  const byKey = new Map<object, CoarseTimer>();
  const clear = (key: object) => {
    byKey.get(key)?.clear();
    byKey.delete(key);
  };
  return {
    start: (extraMs, waiter) => running.start(extraMs, waiter),
    set(key, extraMs, action) {
      clear(key);
      const expire = () => {
        byKey.delete(key);
        action();
      };
      byKey.set(key, running.start(extraMs, { expire }));
    },
    clear,
  };
}

/** The timers that run, in a ring: to put one in and take it out is a few assignments, and leaves no garbage in the way a map does. */
class Running {
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #ring = new RingTimer(Number.POSITIVE_INFINITY, { expire() {} });
  #looking = false;

  constructor(timeoutMs: number, clock: Clock) {
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
  }

  start(extraMs: number, waiter: Waiter): CoarseTimer {
    const timer = new RingTimer(this.#clock.monotonic() + this.#timeoutMs + extraMs, waiter);
    timer.insertBefore(this.#ring);
    if (!this.#looking) this.#lookLater();
    return timer;
  }

  #lookLater(): void {
    this.#looking = true;
    this.#clock.schedule(this.#timeoutMs / LOOKS, () => this.#look());
  }

  #look(): void {
    const now = this.#clock.monotonic();
    const due: RingTimer[] = [];
    for (let timer = this.#ring.next; timer !== this.#ring; timer = timer.next) if (timer.until <= now) due.push(timer);
    for (const timer of due) timer.goOff();
    this.#looking = false;
    if (this.#ring.next !== this.#ring) this.#lookLater();
  }
}

class RingTimer implements CoarseTimer {
  /** By the clock that never steps. */
  readonly until: number;
  #waiter: Waiter | undefined;
  next: RingTimer = this;
  #previous: RingTimer = this;

  constructor(until: number, waiter: Waiter) {
    this.until = until;
    this.#waiter = waiter;
  }

  insertBefore(other: RingTimer): void {
    const previous = other.#previous;
    this.next = other;
    this.#previous = previous;
    previous.next = this;
    other.#previous = this;
  }

  goOff(): void {
    const waiter = this.#waiter;
    this.clear();
    waiter?.expire();
  }

  /** Cleared twice it is cleared once. Whoever holds it holds nothing by it. */
  clear(): void {
    this.#waiter = undefined;
    this.#previous.next = this.next;
    this.next.#previous = this.#previous;
    this.next = this;
    this.#previous = this;
  }
}
