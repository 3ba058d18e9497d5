import { randomUUID } from "node:crypto";
import { create, createRegistry } from "@bufbuild/protobuf";
import { anyPack, durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { ERRORS, MusterError, type Reason, type StatusCode } from "../errors.ts";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { type Status, StatusSchema } from "../gen/google/rpc/status_pb.ts";
import type { Logger } from "../logger.ts";
import { followMessages } from "./follow-messages.ts";
import { type AnyAnswer, type Settling, settle, settling } from "./settle.ts";

/** `domain` of every ErrorInfo. */
export const ERROR_DOMAIN = "muster.v1";

/** What a failure inside an answer may hold: JSON has to know the types of its details. */
export const DETAIL_TYPES = createRegistry(ErrorInfoSchema, BadRequestSchema, RetryInfoSchema);

const CODES = {
  invalid_argument: Code.InvalidArgument,
  unauthenticated: Code.Unauthenticated,
  permission_denied: Code.PermissionDenied,
  not_found: Code.NotFound,
  already_exists: Code.AlreadyExists,
  failed_precondition: Code.FailedPrecondition,
  aborted: Code.Aborted,
  resource_exhausted: Code.ResourceExhausted,
  unavailable: Code.Unavailable,
  deadline_exceeded: Code.DeadlineExceeded,
  canceled: Code.Canceled,
  unimplemented: Code.Unimplemented,
  internal: Code.Internal,
} as const satisfies Record<StatusCode, Code>;

/** Turns every failure, of a unary call or in the middle of a stream, into its code, message and details. */
export function mapErrors(logger: Logger): Interceptor {
  return settling((next) => (request) => settle(next, request, new MappedCall(request.signal, logger)));
}

class MappedCall implements Settling<AnyAnswer, AnyAnswer> {
  readonly #signal: AbortSignal;
  readonly #logger: Logger;

  constructor(signal: AbortSignal, logger: Logger) {
    this.#signal = signal;
    this.#logger = logger;
  }

  done(answer: AnyAnswer): AnyAnswer {
    return answer.stream ? { ...answer, message: mapped(answer.message, this.#signal, this.#logger) } : answer;
  }

  failed(error: unknown): never {
    throw wireError(error, this.#signal, this.#logger);
  }
}

/** An error inside a stream does not pass a try/catch around `next`: it comes out of the iteration. */
const mapped = <M>(messages: AsyncIterable<M>, signal: AbortSignal, logger: Logger): AsyncIterable<M> =>
  followMessages(messages, { failed: (error) => wireError(error, signal, logger) });

/** What goes on the wire for `error`. A failure nobody foresaw becomes INTERNAL with an error id, and its cause a log line. */
export function wireError(error: unknown, signal: AbortSignal, logger: Logger): ConnectError {
  // How the health protocol says that there is no such service; it has no reason of ours.
  if (error instanceof ConnectError && error.code === Code.NotFound) return error;
  const failure = reasonOf(error, signal);
  if (failure) return connectErrorOf(failure);
  const errorId = randomUUID();
  logger.error({ error_id: errorId, err: error }, "a call failed for a reason nobody foresaw");
  return connectErrorOf(new MusterError("INTERNAL", { metadata: { error_id: errorId } }));
}

/** A failure in the form it has inside an answer, where one of many items failed. */
export function statusOf(error: unknown, signal: AbortSignal, logger: Logger): Status {
  const { code, rawMessage, details } = wireError(error, signal, logger);
  const packed = details.flatMap((detail) =>
    "desc" in detail ? [anyPack(detail.desc, create(detail.desc, detail.value))] : [],
  );
  return create(StatusSchema, { code, message: rawMessage, details: packed });
}

function reasonOf(error: unknown, signal: AbortSignal): MusterError | undefined {
  if (error instanceof MusterError) return error;
  if (signal.aborted && signal.reason instanceof MusterError) return signal.reason;
  // Whatever falls out of work that was given up, the reason for giving up is what matters.
  const cause = signal.aborted ? ConnectError.from(signal.reason, Code.Canceled) : error;
  if (!(cause instanceof ConnectError)) return undefined;
  const reason = CONNECT_REASONS[cause.code];
  return reason && new MusterError(reason, { cause: error });
}

/** The codes that the protocol layer itself fails with. */
const CONNECT_REASONS: Partial<Record<Code, Reason>> = {
  [Code.Canceled]: "CANCELLED",
  [Code.DeadlineExceeded]: "DEADLINE_EXCEEDED",
  [Code.Unimplemented]: "UNIMPLEMENTED",
  [Code.ResourceExhausted]: "MESSAGE_TOO_LARGE",
  [Code.Aborted]: "CANCELLED",
  [Code.Unavailable]: "SHUTTING_DOWN",
  [Code.InvalidArgument]: "REQUEST_INVALID",
};

function connectErrorOf({ reason, extra, message }: MusterError): ConnectError {
  const error = new ConnectError(describe(message, extra.violations), CODES[ERRORS[reason].code]);
  error.details.push({
    desc: ErrorInfoSchema,
    value: { reason, domain: ERROR_DOMAIN, metadata: { ...extra.metadata } },
  });
  if (extra.violations)
    error.details.push({ desc: BadRequestSchema, value: { fieldViolations: extra.violations.map((v) => ({ ...v })) } });
  if (extra.retryAfterMs !== undefined)
    error.details.push({
      desc: RetryInfoSchema,
      // The clock counts fractions of milliseconds; a Duration of one cannot be written.
      value: create(RetryInfoSchema, { retryDelay: durationFromMs(Math.ceil(extra.retryAfterMs)) }),
    });
  return error;
}

/** The details hold every violation; the message names the first, for those who read only that. */
function describe(message: string, violations: MusterError["extra"]["violations"]): string {
  const first = violations?.[0];
  if (!first) return message;
  return `${message}: ${first.field ? `${first.field}: ` : ""}${first.description}`;
}
