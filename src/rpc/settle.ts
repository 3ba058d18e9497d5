import type { Interceptor, StreamResponse, UnaryResponse } from "@connectrpc/connect";

/** What may be there at once: a call that has nothing to wait for is not made to wait, since each promise costs every call. */
export type Settled<T> = T | Promise<T>;

/** Goes on with what `work` gives by `done`, or with what it fails by, at once or later, by `failed`. What these throw is thrown on. */
export function settle<T, R>(
  work: () => Settled<T>,
  done: (value: T) => Settled<R>,
  failed: (error: unknown) => Settled<R>,
): Settled<R> {
  let value: Settled<T>;
  try {
    value = work();
  } catch (error) {
    return failed(error);
  }
  return value instanceof Promise ? value.then(done, failed) : done(value);
}

type Request = Parameters<ReturnType<Interceptor>>[0];
type Go = (request: Request) => Settled<UnaryResponse | StreamResponse>;

/** An interceptor that takes and gives answers as they are settled: by the fast path at once, where the service has them at once. */
export const settling = (intercept: (next: Go) => Go): Interceptor => intercept as Interceptor;
