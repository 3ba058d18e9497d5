import type { MusterError } from "../errors.ts";

/** A stream's place among the open ones. Dispose it when the stream is over. */
export interface OpenStream extends Disposable {
  /** Aborts, with the MusterError to fail with, when the server ends the stream. Each stream has its own. */
  readonly signal: AbortSignal;
}

/**
 * The open streams of the process. Each has a signal of its own: thousands of listeners on one shared signal make every call
 * slow, because each call adds and removes one.
 */
export interface StreamRegistry {
  /** How many are open. */
  readonly size: number;
  /** Adds a stream. Once all were ended, a new one is ended at once. */
  open(): OpenStream;
  /** Ends all streams with `reason`, and those that are opened afterwards too. */
  endAll(reason: MusterError): void;
}

/** A registry without streams. */
export function createStreamRegistry(): StreamRegistry {
  const streams = new Set<AbortController>();
  let ended: MusterError | undefined;
  return {
    get size() {
      return streams.size;
    },
    open() {
      const controller = new AbortController();
      if (ended) controller.abort(ended);
      else streams.add(controller);
      return { signal: controller.signal, [Symbol.dispose]: () => void streams.delete(controller) };
    },
    endAll(reason) {
      ended = reason;
      for (const controller of streams) controller.abort(reason);
      streams.clear();
    },
  };
}
