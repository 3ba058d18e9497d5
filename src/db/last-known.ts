import type { Clock } from "../clock.ts";
import { MusterError } from "../errors.ts";

export interface LastKnownOptions<Value> {
  readonly clock: Clock;
  /** Reads the value; `undefined`: there is none. Gets the last one, to take over what has not changed. */
  load(key: string, last: Value | undefined): Promise<Value | undefined>;
  /** How old a value may be and still be given without looking, in milliseconds. */
  readonly maxAgeMs: number;
  /** How old a value may be and still be given while the database is away, in milliseconds. */
  readonly maxAwayMs: number;
  /** How long a caller waits for a look that does not come back, when there is a value to give, in milliseconds. */
  readonly patienceMs: number;
  /** The most values kept; the one longest unread goes first. */
  readonly maxEntries: number;
}

/** A cache that is never older than promised while the database is there, and keeps serving while it is away. */
export interface LastKnown<Value> {
  /** The value that `get` would give without looking; undefined: it would look. */
  known(key: string): Value | undefined;
  /** STORAGE_UNAVAILABLE where nothing is known, or nothing young enough. */
  get(key: string): Promise<Value | undefined>;
  /** The value as of a look that starts now. STORAGE_UNAVAILABLE. */
  reload(key: string): Promise<Value | undefined>;
  /** Has the next `get` look, and keeps nothing of a look that is under way. */
  forget(key: string): void;
}

interface Entry<Value> {
  readonly value: Value;
  /** When the look that found it started. */
  readonly asOf: number;
  /** Until when nobody looks again. */
  freshUntil: number;
}

interface Look<Value> {
  readonly startedAt: number;
  readonly result: Promise<Value | undefined>;
}

/** A look this much older than the patience is given up for lost: its connection may be dead without a word. */
const LOST_FACTOR = 10;

/** Makes the cache; values are read when they are first asked for. */
export function createLastKnown<Value>(options: LastKnownOptions<Value>): LastKnown<Value> {
  const { clock, maxAgeMs, maxAwayMs, patienceMs } = options;
  const entries = new Map<string, Entry<Value>>();
  const looks = new Map<string, Look<Value>>();

  const keep = (key: string, value: Value | undefined, asOf: number) => {
    entries.delete(key);
    if (value !== undefined) entries.set(key, { value, asOf, freshUntil: asOf + maxAgeMs });
    for (const oldest of entries.keys()) {
      if (entries.size <= options.maxEntries) break;
      entries.delete(oldest);
    }
  };

  const start = (key: string): Look<Value> => {
    const startedAt = clock.monotonic();
    const result = options.load(key, entries.get(key)?.value).then((value) => {
      // One that was given up for lost, or forgotten, and comes back after all knows less than those after it.
      if (looks.get(key) === look) keep(key, value, startedAt);
      return value;
    });
    const look: Look<Value> = { startedAt, result };
    looks.set(key, look);
    const end = () => {
      if (looks.get(key) === look) looks.delete(key);
    };
    result.then(end, end);
    return look;
  };

  const current = (key: string): Look<Value> => {
    const look = looks.get(key);
    return look && clock.monotonic() - look.startedAt < patienceMs * LOST_FACTOR ? look : start(key);
  };

  /** The last value in place of a look that failed because the database is away. */
  const fallBack = (entry: Entry<Value>, error: unknown): Value => {
    if (!(error instanceof MusterError) || error.reason !== "STORAGE_UNAVAILABLE") throw error;
    entry.freshUntil = clock.monotonic() + maxAgeMs;
    return entry.value;
  };

  return {
    known(key) {
      const entry = entries.get(key);
      return entry && clock.monotonic() < entry.freshUntil ? entry.value : undefined;
    },
    async get(key) {
      const entry = entries.get(key);
      const now = clock.monotonic();
      if (entry && now < entry.freshUntil) return entry.value;
      const look = current(key);
      if (!entry || now - entry.asOf > maxAwayMs) return look.result;
      const fresh = look.result.catch((error: unknown) => fallBack(entry, error));
      const patience = patienceMs - (now - look.startedAt);
      return patience > 0 ? within(clock, patience, fresh, entry.value) : entry.value;
    },
    async reload(key) {
      // One that is under way may have read before what the caller wants to see was written.
      await looks.get(key)?.result.catch(() => undefined);
      return current(key).result;
    },
    forget(key) {
      entries.delete(key);
      looks.delete(key);
    },
  };
}

/** The outcome of `work`, or `otherwise` if it takes longer than `ms`. */
async function within<T>(clock: Clock, ms: number, work: Promise<T>, otherwise: T): Promise<T> {
  const { promise, resolve } = Promise.withResolvers<T>();
  using _timer = clock.schedule(ms, () => resolve(otherwise));
  return await Promise.race([work, promise]);
}
