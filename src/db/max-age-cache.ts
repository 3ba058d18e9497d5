import type { Clock } from "../clock.ts";
import { MusterError } from "../errors.ts";

/** What was read not long ago. One reader at a time per key; an unreachable database gives what was last known. */
export interface MaxAgeCache<T> {
  get(key: string): Promise<T>;
  /** Reads anew at the next `get`. */
  forget(key: string): void;
}

interface Entry<T> {
  value: Promise<T>;
  readAt: number;
  settled: boolean;
}

/** The most keys held; the one read longest ago makes room. */
const MAX_ENTRIES = 10_000;

/**
 * Values at most `maxAgeMs` old, at most `staleMs` while the database is away. What `load` throws is not kept, so unknown keys
 * are looked up again.
 */
export function createMaxAgeCache<T>(
  clock: Clock,
  maxAgeMs: number,
  staleMs: number,
  load: (key: string) => Promise<T>,
): MaxAgeCache<T> {
  const entries = new Map<string, Entry<T>>();
  const isFresh = (entry: Entry<T>) => !entry.settled || clock.monotonic() - entry.readAt < maxAgeMs;

  function reload(key: string, previous: Entry<T> | undefined): Promise<T> {
    const startedAt = clock.monotonic();
    const entry: Entry<T> = { value: load(key), readAt: startedAt, settled: false };
    entries.delete(key);
    entries.set(key, entry);
    if (entries.size > MAX_ENTRIES) entries.delete(entries.keys().next().value as string);
    const isCurrent = () => entries.get(key) === entry;
    entry.value = entry.value.then(
      (value) => {
        entry.settled = true;
        return value;
      },
      (error: unknown) => {
        const away = error instanceof MusterError && error.reason === "STORAGE_UNAVAILABLE";
        const usable = away && previous && clock.monotonic() - previous.readAt < staleMs;
        if (isCurrent()) entries.delete(key);
        if (!usable) throw error;
        if (!entries.has(key)) entries.set(key, previous);
        return previous.value;
      },
    );
    return entry.value;
  }

  return {
    get(key) {
      const entry = entries.get(key);
      return entry && isFresh(entry) ? entry.value : reload(key, entry);
    },
    forget: (key) => entries.delete(key),
  };
}
