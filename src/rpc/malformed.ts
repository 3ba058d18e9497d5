import { createContextKey } from "@connectrpc/connect";
import type { MusterError } from "../errors.ts";

/**
 * Why the request could not be decoded: REQUEST_INVALID with its violations, MESSAGE_TOO_LARGE, or DEADLINE_EXCEEDED for a
 * body that never ended. Decoding happens in front of the protocol handlers, which would answer such a request with
 * `internal`; they are given an empty message instead, and an interceptor throws what stands here.
 */
export const MALFORMED = createContextKey<MusterError | undefined>(undefined, { description: "malformed request" });
