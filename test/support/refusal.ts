import { ConnectError } from "@connectrpc/connect";
import type { Reason } from "../../src/errors.ts";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";

/** What a failed call told its caller. */
export interface Refusal {
  readonly reason: Reason;
  readonly metadata: Record<string, string>;
  /** Paths of the fields that break a rule. */
  readonly fields: string[];
  /** Seconds until another try makes sense. */
  readonly retryAfter: number | undefined;
  readonly error: ConnectError;
}

/** The refusal that a call ends with. Throws if it succeeds, or fails without saying why. */
export async function refusalOf(call: Promise<unknown>): Promise<Refusal> {
  const error = await call.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  if (!(error instanceof ConnectError)) throw new Error(`not refused, but: ${String(error)}`);
  const [info] = error.findDetails(ErrorInfoSchema);
  if (!info) throw new Error(`a refusal without a reason: ${error.message}`);
  const retry = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return {
    reason: info.reason as Reason,
    metadata: info.metadata,
    fields: error.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations.map(({ field }) => field)),
    retryAfter: retry && Number(retry.seconds) + retry.nanos / 1e9,
    error,
  };
}

/** The reason that a call is refused for. */
export const reasonOf = async (call: Promise<unknown>): Promise<Reason> => (await refusalOf(call)).reason;
