import type { PlainRequest } from "../../src/rpc/plain-http.ts";

/** A GET of `path` as a route is given it that matched it. */
export const plainRequest = (
  path: string,
  match: RegExpMatchArray,
  headers: PlainRequest["headers"] = {},
): PlainRequest => ({
  method: "GET",
  path,
  match,
  query: new URLSearchParams(),
  form: new URLSearchParams(),
  headers,
  peer: "127.0.0.1",
  signal: new AbortController().signal,
});
