import type { Interceptor, StreamResponse, UnaryResponse } from "@connectrpc/connect";

/** What may be there at once: a call that has nothing to wait for is not made to wait, since each promise costs every call. */
export type Settled<T> = T | Promise<T>;

/** What is done once something has settled. */
export interface Settling<T, R> {
  done(value: T): Settled<R>;
  /** Gives what is to take its place, or throws. */
  failed(error: unknown): Settled<R>;
}

/** Goes on with what `work` makes of `input`, at once or later. What `settling` throws is thrown on. */
export function settle<I, T, R>(work: (input: I) => Settled<T>, input: I, settling: Settling<T, R>): Settled<R> {
  let value: Settled<T>;
  try {
    value = work(input);
  } catch (error) {
    return settling.failed(error);
  }
  if (!(value instanceof Promise)) return settling.done(value);
  return value.then(
    (settled) => settling.done(settled),
    (error: unknown) => settling.failed(error),
  );
}

type Request = Parameters<ReturnType<Interceptor>>[0];
export type AnyAnswer = UnaryResponse | StreamResponse;
type Go = (request: Request) => Settled<AnyAnswer>;

/** An interceptor that takes and gives answers as they are settled: by the fast path at once, where the service has them at once. */
export const settling = (intercept: (next: Go) => Go): Interceptor => intercept as Interceptor;
