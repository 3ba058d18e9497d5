import { constants, type ServerHttp2Stream } from "node:http2";
import type { Clock } from "../clock.ts";
import type { NodeRequest } from "./plain-http.ts";

/**
 * Tells an HTTP/2 client that goes on sending after its answer that the rest is not wanted (RFC 9113 §8.1). It is read and
 * dropped for a second before, so that the answer surely arrives. HTTP/1.1 does the like by itself.
 */
export function leaveRest(request: NodeRequest, clock: Clock): void {
  if (!("stream" in request)) return;
  const { stream } = request;
  stream.once("finish", () => {
    if (!request.complete) dropRest(stream, clock);
  });
}

/** Does so with a stream that has been answered. */
export function dropRest(stream: ServerHttp2Stream, clock: Clock): void {
  stream.resume();
  const timer = clock.schedule(1_000, () => stream.close(constants.NGHTTP2_NO_ERROR));
  stream.once("close", () => timer[Symbol.dispose]());
}
