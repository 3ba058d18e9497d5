import { createContextKey, type HandlerContext } from "@connectrpc/connect";
import type { MusterError } from "../errors.ts";

/** The connection that a call came on, if it carries many calls: an object that stands for it. */
export const CONNECTION = createContextKey<object | undefined>(undefined, { description: "connection" });

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
  /** Adds the stream of a call. Once all were ended, a new one is ended at once. */
  open(call?: Pick<HandlerContext, "values">): OpenStream;
  /** Ends the streams of the calls that came on this connection with `reason`. */
  endOn(connection: object, reason: MusterError): void;
  /** Ends all streams with `reason`, and those that are opened afterwards too. */
  endAll(reason: MusterError): void;
}

/** A registry without streams. */
export function createStreamRegistry(): StreamRegistry {
  const streams = new Map<AbortController, object | undefined>();
  let ended: MusterError | undefined;
  return {
    get size() {
      return streams.size;
    },
    open(call) {
      const controller = new AbortController();
      if (ended) controller.abort(ended);
      else streams.set(controller, call?.values.get(CONNECTION));
      return { signal: controller.signal, [Symbol.dispose]: () => void streams.delete(controller) };
    },
    endOn(connection, reason) {
      for (const [controller, its] of streams) {
        if (its !== connection) continue;
        streams.delete(controller);
        controller.abort(reason);
      }
    },
    endAll(reason) {
      ended = reason;
      for (const controller of streams.keys()) controller.abort(reason);
      streams.clear();
    },
  };
}
