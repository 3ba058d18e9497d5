/** The process's view of time. Passed in everywhere, so that tests can hold it still. */
export interface Clock {
  /** Milliseconds since the Unix epoch; may step when the machine's clock is set. */
  now(): number;
  /** Milliseconds since some fixed moment; never steps. For spans and deadlines. */
  monotonic(): number;
  /** Calls `action` once, `delayMs` (0 to 2³¹−1) from now, unless disposed before. Never keeps the process alive. */
  schedule(delayMs: number, action: () => void): Disposable;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  schedule(delayMs, action) {
    const timer: NodeJS.Timeout | number = setTimeout(action, delayMs);
    // In a browser it is a number, and nothing is kept alive.
    if (typeof timer === "object") timer.unref();
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};
