import type { Interceptor } from "@connectrpc/connect";
import { MALFORMED } from "./malformed.ts";

/**
 * Refuses what could not be decoded. Decoding happens in front of the chain and only leaves a note, so that such a call is
 * logged, counted and answered in its own protocol like any other.
 */
export const refuseMalformed: Interceptor = (next) => async (request) => {
  const malformed = request.contextValues.get(MALFORMED);
  if (malformed) throw malformed;
  return next(request);
};
