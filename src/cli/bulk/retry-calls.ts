import { randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectError } from "@connectrpc/connect";
import type { Clock } from "../../clock.ts";
import { type CallFailure, callFailure, isPassing } from "./call-failure.ts";

/** Runs a call until it goes well, or fails for good. */
export type RetryCalls = <T>(call: () => Promise<T>) => Promise<T>;

/** What an item of an answer failed for, where it may go well in a moment. */
export class PassingFailure extends Error {
  override readonly name = "PassingFailure";
  readonly failure: CallFailure;

  constructor(failure: CallFailure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** How long a server may stay away before a command gives up. */
const PATIENCE_MS = 300_000;
const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 10_000;

export interface RetryOptions {
  readonly clock: Clock;
  /** Aborts when the command is to end: nothing is tried again from then on. */
  readonly stop: AbortSignal;
  /** Told of each wait. */
  onWait(message: string): void;
}

/** Tries again what may go well in a moment, with waits that grow and differ, or as long as the server says: for 5 minutes. */
export function createRetryCalls({ clock, stop, onWait }: RetryOptions): RetryCalls {
  return async (call) => {
    let firstFailure: number | undefined;
    for (let attempt = 0; ; attempt++) {
      try {
        return await call();
      } catch (error) {
        const failure = failureIn(error);
        const now = clock.monotonic();
        firstFailure ??= now;
        if (!failure || !isPassing(failure) || stop.aborted || now - firstFailure > PATIENCE_MS) throw error;
        const grown = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt);
        onWait(failure.message);
        await sleep((failure.retryAfterMs ?? 0) + randomInt(grown / 2, grown), undefined, { signal: stop });
      }
    }
  };
}

function failureIn(error: unknown): CallFailure | undefined {
  if (error instanceof PassingFailure) return error.failure;
  return error instanceof ConnectError ? callFailure(error) : undefined;
}
