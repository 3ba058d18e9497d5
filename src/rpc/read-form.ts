import type { Clock } from "../clock.ts";
import { MusterError } from "../errors.ts";
import { leaveRest } from "./leave-rest.ts";
import type { PlainResponse, ReadForm } from "./plain-http.ts";
import { createTakeBody, readBody } from "./strict-decode-body.ts";

const MAX_BYTES = 64 * 1024;
const LIMITS = { bodyTimeoutMs: 10_000, maxPendingBytes: 16 * 1024 * 1024 };
const FORM_TYPE = /^application\/x-www-form-urlencoded *(?:; *charset="?utf-8"?)?$/i;

/** A reader of HTML forms: at most 64 KiB, which have ten seconds to arrive, and 16 MiB of all together. */
export function createReadForm(clock: Clock): ReadForm {
  const takeBody = createTakeBody(LIMITS, clock);
  return async (request) => {
    leaveRest(request, clock);
    const { "content-type": type = "", "content-encoding": encoding = "identity" } = request.headers;
    if (!FORM_TYPE.test(type.trim()) || encoding !== "identity") return NO_FORM;
    try {
      const body = await readBody(takeBody, request, request.headers["content-length"], MAX_BYTES);
      return new URLSearchParams(Buffer.from(body).toString());
    } catch (error) {
      const refusal = error instanceof MusterError ? REFUSALS[error.reason] : undefined;
      if (!refusal) throw error;
      return refusal;
    }
  };
}

const NO_FORM: PlainResponse = { status: 415, headers: { "accept-post": "application/x-www-form-urlencoded" } };
const REFUSALS: Readonly<Record<string, PlainResponse>> = {
  MESSAGE_TOO_LARGE: { status: 413 },
  DEADLINE_EXCEEDED: { status: 408 },
  RATE_LIMITED: { status: 503, headers: { "retry-after": "1" } },
  // Nobody is left to read it.
  CANCELLED: { status: 400 },
};
