import { setTimeout as sleep } from "node:timers/promises";
import { MusterError } from "../errors.ts";
import type { PresenceRecord } from "./effective-presence.ts";
import {
  type Change,
  type KnownUser,
  keyOf,
  MAX_BATCH,
  type Outcome,
  type PresenceEngine,
  type Written,
} from "./engine.ts";

/** What is stored once a change is. */
export interface SetResult extends KnownUser {
  readonly record: PresenceRecord;
  /** The engine's clock just after. */
  readonly now: number;
}

/** Puts the changes of all callers into few batches. */
export interface BatchWriter extends AsyncDisposable {
  /**
   * Resolves when the change is stored, with what is stored: of changes of one user that meet in a batch only the last one is
   * stored, and it is the answer to them all.
   * @throws USER_NOT_FOUND, USER_SUSPENDED, CONFLICT, STORAGE_UNAVAILABLE
   */
  set(change: Change): Promise<SetResult>;
}

interface Waiting {
  change: Change;
  /** How often the user was found busy. */
  tries: number;
  readonly callers: { resolve(result: SetResult): void; reject(error: unknown): void }[];
}

/** A user that other transactions hold is tried again this often, at growing distance: for about 2 s in all. */
const BUSY_TRIES = 8;

/**
 * One batch is under way at a time; what comes meanwhile is the next one, so batches grow with the load. An idle writer waits
 * only until the events of this turn of the loop have been handled: a call alone pays no delay.
 */
export function createBatchWriter(engine: PresenceEngine): BatchWriter {
  const waiting = new Map<string, Waiting>();
  let running: Promise<void> | undefined;

  function add(next: Waiting): void {
    const key = keyOf(next.change.subject);
    const other = waiting.get(key);
    if (other) {
      // The newer change wins: the one that is tried again is the older.
      if (next.tries === 0) other.change = next.change;
      other.callers.push(...next.callers);
    } else waiting.set(key, next);
    running ??= run();
  }

  async function run(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    while (waiting.size > 0) await flush(take());
    running = undefined;
  }

  function take(): Waiting[] {
    const batch: Waiting[] = [];
    for (const [key, item] of waiting) {
      if (batch.length === MAX_BATCH) break;
      waiting.delete(key);
      batch.push(item);
    }
    return batch;
  }

  async function flush(batch: readonly Waiting[]): Promise<void> {
    try {
      const written = await engine.set(batch.map(({ change }) => change));
      for (const [index, item] of batch.entries()) settle(item, written, index);
    } catch (error) {
      for (const { callers } of batch) for (const { reject } of callers) reject(error);
    }
  }

  function settle(item: Waiting, { now, outcomes }: Written, index: number): void {
    const outcome = outcomes[index];
    if (typeof outcome === "object") for (const { resolve } of item.callers) resolve({ ...outcome, now });
    else if (outcome === "busy" && item.tries < BUSY_TRIES) void sleep(10 * 2 ** item.tries++).then(() => add(item));
    else for (const { reject } of item.callers) reject(refusalOf(outcome));
  }

  return {
    set: (change) => new Promise((resolve, reject) => add({ change, tries: 0, callers: [{ resolve, reject }] })),
    async [Symbol.asyncDispose]() {
      while (running) await running;
    },
  };
}

function refusalOf(outcome: Outcome | undefined): MusterError {
  if (outcome === "unavailable") return new MusterError("STORAGE_UNAVAILABLE", { retryAfterMs: 1_000 });
  if (outcome === "suspended") return new MusterError("USER_SUSPENDED");
  return new MusterError(outcome === "busy" ? "CONFLICT" : "USER_NOT_FOUND");
}
