import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import type { Status } from "../../gen/google/rpc/status_pb.ts";

/** Why a call, or one item of a batch, failed. */
export interface CallFailure {
  readonly code: Code;
  /** A reason of the API; undefined where it was not the API that refused. */
  readonly reason: string | undefined;
  readonly message: string;
  /** The rules of the request that were broken. */
  readonly violations: readonly { readonly field: string; readonly description: string }[];
  readonly metadata: Readonly<Record<string, string>>;
  /** When the server takes it again, where it says so. */
  readonly retryAfterMs: number | undefined;
}

/** Takes apart what a call threw. */
export function callFailure(error: ConnectError): CallFailure {
  const [info] = error.findDetails(ErrorInfoSchema);
  const [rules] = error.findDetails(BadRequestSchema);
  const [retry] = error.findDetails(RetryInfoSchema);
  return {
    code: error.code,
    reason: info?.reason,
    message: error.rawMessage,
    violations: rules?.fieldViolations ?? [],
    metadata: info?.metadata ?? {},
    retryAfterMs: retry?.retryDelay && durationMs(retry.retryDelay),
  };
}

/** The same of what stands in the result of an item. */
export function itemFailure({ code, message, details }: Status): CallFailure {
  const error = new ConnectError(message, code);
  error.details = details.map(({ typeUrl, value }) => ({ type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1), value }));
  return callFailure(error);
}

/** Codes of what may go well the next time. */
const PASSING = new Set([Code.Unavailable, Code.Aborted, Code.DeadlineExceeded]);
/** Codes that are given to what breaks off on the way, which the API never answers by itself. */
const BROKEN_OFF = new Set([Code.Unknown, Code.Internal, Code.Canceled]);

/** Whether the same call may go well in a moment: the server or the way to it is not there, or it asked to wait. */
export function isPassing({ code, reason }: CallFailure): boolean {
  return PASSING.has(code) || reason === "RATE_LIMITED" || (reason === undefined && BROKEN_OFF.has(code));
}
