import { createContextKey, type HandlerContext } from "@connectrpc/connect";
import type { Clock } from "../clock.ts";
import { MusterError } from "../errors.ts";
import { ANONYMOUS, CALLER, type Caller } from "./caller.ts";

/** The connection that a call came on, if it carries many calls: an object that stands for it. */
export const CONNECTION = createContextKey<object | undefined>(undefined, { description: "connection" });

/** A stream's place among the open ones. Dispose it when the stream is over. */
export interface OpenStream extends Disposable {
  /** Aborts, with the MusterError to fail with, when the server ends the stream. Each stream has its own. */
  readonly signal: AbortSignal;
}

/** Why a caller may no longer have what it was let in for; undefined: it may. */
export type AccessCheck = (caller: Caller) => MusterError | undefined;

/**
 * The open streams of the process, and the one place that ends them when their caller's access ends. Each has a signal of its own:
 * thousands of listeners on one shared signal make every call slow, because each call adds and removes one.
 */
export interface StreamRegistry {
  /** How many are open. */
  readonly size: number;
  /**
   * Adds the stream of a call. It ends with TOKEN_EXPIRED, or SESSION_NOT_FOUND for a session, when the caller's credential does, and is ended at once where the caller's
   * access is over already or all streams were ended.
   */
  open(call?: Pick<HandlerContext, "values">): OpenStream;
  /** Who opened those that are open, a caller for each. */
  callers(): Iterable<Caller>;
  /** Has `check` asked of the caller of each stream that is opened from now on, and of all at each `recheck`. */
  guard(check: AccessCheck): void;
  /** Ends the streams of callers whose access is over. */
  recheck(): void;
  /** Ends the streams of the calls that came on this connection with `reason`. */
  endOn(connection: object, reason: MusterError): void;
  /** Ends all streams with `reason`, and those that are opened afterwards too. */
  endAll(reason: MusterError): void;
}

interface Entry {
  readonly caller: Caller;
  readonly connection: object | undefined;
  expiry: Disposable | undefined;
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A registry without streams. */
export function createStreamRegistry(clock: Clock): StreamRegistry {
  return new Streams(clock);
}

class Streams implements StreamRegistry {
  readonly #clock: Clock;
  readonly #streams = new Map<AbortController, Entry>();
  #check: AccessCheck = () => undefined;
  #ended: MusterError | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#streams.size;
  }

  open(call?: Pick<HandlerContext, "values">): OpenStream {
    const controller = new AbortController();
    const entry: Entry = {
      caller: call?.values.get(CALLER) ?? ANONYMOUS,
      connection: call?.values.get(CONNECTION),
      expiry: undefined,
    };
    const over = this.#ended ?? this.#check(entry.caller);
    if (over) controller.abort(over);
    else {
      this.#streams.set(controller, entry);
      this.#watchExpiry(controller, entry);
    }
    return { signal: controller.signal, [Symbol.dispose]: () => this.#remove(controller) };
  }

  *callers(): Iterable<Caller> {
    for (const { caller } of this.#streams.values()) yield caller;
  }

  guard(check: AccessCheck): void {
    this.#check = check;
  }

  recheck(): void {
    for (const [controller, { caller }] of this.#streams) {
      const over = this.#check(caller);
      if (over) this.#end(controller, over);
    }
  }

  endOn(connection: object, reason: MusterError): void {
    for (const [controller, its] of this.#streams) if (its.connection === connection) this.#end(controller, reason);
  }

  endAll(reason: MusterError): void {
    this.#ended = reason;
    for (const controller of this.#streams.keys()) this.#end(controller, reason);
  }

  #end(controller: AbortController, reason: MusterError): void {
    this.#remove(controller);
    controller.abort(reason);
  }

  #remove(controller: AbortController): void {
    this.#streams.get(controller)?.expiry?.[Symbol.dispose]();
    this.#streams.delete(controller);
  }

  #watchExpiry(controller: AbortController, entry: Entry): void {
    if (entry.caller.kind !== "user") return;
    const left = entry.caller.expiresAt - this.#clock.now();
    const isSession = entry.caller.tokenId === entry.caller.sessionId;
    if (left <= 0) return this.#end(controller, new MusterError(isSession ? "SESSION_NOT_FOUND" : "TOKEN_EXPIRED"));
    entry.expiry = this.#clock.schedule(Math.min(Math.ceil(left), LONGEST_TIMER_MS), () =>
      this.#watchExpiry(controller, entry),
    );
  }
}
