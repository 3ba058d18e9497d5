import type { Clock } from "../../clock.ts";
import type { Egress } from "../../egress/egress.ts";
import { MusterError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { fetchDocument } from "./fetch-document.ts";

export interface RemotePorts {
  readonly egress: Egress;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Something that is kept at a URL, as this process knows it. */
export interface RemoteDocument<Value> {
  /** As long as its answer said it may be kept; the last good one for another day while there is no better. PROVIDER_UNAVAILABLE. */
  get(signal?: AbortSignal): Promise<Value>;
  /**
   * The same asked for again, for something that is not in it, unless it was asked for in the last 30 seconds. PROVIDER_UNAVAILABLE if the
   * last attempt failed: what is not in it may be there by now.
   */
  getNewer(signal?: AbortSignal): Promise<Value>;
  /** As of now. PROVIDER_UNAVAILABLE, or UnusableDocument. */
  getNow(signal?: AbortSignal): Promise<Value>;
}

/** How long nobody asks again, whether the last attempt brought something or not. */
const REST_MS = 30_000;
/** How much longer than it is fresh a good value serves. */
const GRACE_MS = 24 * 60 * 60_000;

interface Known<Value> {
  readonly value: Value;
  readonly freshUntil: number;
}

/** Makes the view of one URL. `read` gets the last value too, to take over what has not changed, and throws UnusableDocument. */
export function createRemoteDocument<Value>(
  { egress, clock, logger }: RemotePorts,
  url: string,
  read: (bytes: Uint8Array, last: Value | undefined) => Value,
): RemoteDocument<Value> {
  let known: Known<Value> | undefined;
  let last: { readonly at: number; failure?: unknown } | undefined;
  let underWay: Promise<Value> | undefined;

  async function fetchOnce(): Promise<Value> {
    const attempt: typeof last = { at: clock.monotonic() };
    last = attempt;
    try {
      const { bytes, freshMs } = await fetchDocument(egress, url);
      const value = read(bytes, known?.value);
      known = { value, freshUntil: clock.monotonic() + freshMs };
      return value;
    } catch (error) {
      attempt.failure = error;
      logger.warn({ err: error, host: URL.parse(url)?.host }, "what a provider publishes could not be read");
      throw error;
    }
  }
  const refresh = (signal: AbortSignal | undefined) => {
    if (!underWay) {
      underWay = fetchOnce().finally(() => {
        underWay = undefined;
      });
      // Whoever waited for it may have left.
      underWay.catch(() => undefined);
    }
    return unlessAborted(underWay, signal);
  };
  const mayAsk = () => underWay !== undefined || !last || clock.monotonic() - last.at >= REST_MS;
  /** Asks if that may be; what goes wrong is remembered. */
  const ask = async (signal: AbortSignal | undefined) => {
    if (mayAsk()) await refresh(signal).catch(() => signal?.throwIfAborted());
  };
  const valueUntil = (overdueMs: number) =>
    known && clock.monotonic() < known.freshUntil + overdueMs ? known : undefined;
  const unavailable = () => {
    const retryAfterMs = Math.max(1_000, (last?.at ?? 0) + REST_MS - clock.monotonic());
    return new MusterError("PROVIDER_UNAVAILABLE", { retryAfterMs, cause: last?.failure });
  };

  return {
    async get(signal) {
      const fresh = valueUntil(0);
      if (fresh) return fresh.value;
      await ask(signal);
      const good = valueUntil(GRACE_MS);
      if (!good) throw unavailable();
      return good.value;
    },
    async getNewer(signal) {
      await ask(signal);
      const good = valueUntil(GRACE_MS);
      if (!good || last?.failure !== undefined) throw unavailable();
      return good.value;
    },
    getNow: (signal) => refresh(signal),
  };
}

/** What comes of something that others wait for too, unless this one's signal aborts first. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return await work;
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const leave = () => reject(signal.reason);
  signal.addEventListener("abort", leave);
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}
