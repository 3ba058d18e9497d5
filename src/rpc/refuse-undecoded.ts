import type { Interceptor } from "@connectrpc/connect";
import { UNDECODED } from "./undecoded.ts";

/**
 * Refuses what was not decoded. Decoding happens in front of the chain and only leaves a note, so that such a call is
 * logged, counted and answered in its own protocol like any other.
 */
export const refuseUndecoded: Interceptor = (next) => (request) => {
  const why = request.contextValues.get(UNDECODED);
  if (why) throw why;
  return next(request);
};
