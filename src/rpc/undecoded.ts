import { type ContextValues, createContextKey } from "@connectrpc/connect";

/**
 * Why the request's message was not decoded: a refusal at the gate, REQUEST_INVALID with its violations, MESSAGE_TOO_LARGE,
 * or DEADLINE_EXCEEDED for a body that never ended. Decoding happens in front of the protocol handlers, which would answer
 * such a request with `internal`; they are given an empty message instead, and an interceptor throws what stands here.
 */
export const UNDECODED = createContextKey<Error | undefined>(undefined, {
  description: "why the message was not decoded",
});

/** Leaves the note, unless there is one already: the first refusal is the one that counts. */
export function leaveUndecoded(values: ContextValues, why: unknown): void {
  if (values.get(UNDECODED)) return;
  values.set(UNDECODED, why instanceof Error ? why : new Error("a call was refused without an error", { cause: why }));
}
