import { Code, ConnectError, createContextKey, type Interceptor } from "@connectrpc/connect";
import type { Clock } from "../clock.ts";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import type { NewId } from "../ids.ts";
import type { Logger } from "../logger.ts";
import { CALLER } from "./caller.ts";
import { CLIENT_ADDRESS } from "./client-address.ts";
import { followMessages } from "./follow-messages.ts";
import type { Metrics } from "./metrics.ts";
import { type AnyAnswer, type Settling, settle, settling } from "./settle.ts";
import type { CallSpan, Tracing } from "./tracing.ts";

export interface ObservePorts {
  readonly clock: Clock;
  readonly newId: NewId;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
}

/** What the call is found by in the logs. */
export const REQUEST_ID = createContextKey("", { description: "request id" });

/** A unary call that takes longer than this is logged at level info. */
const SLOW_MS = 1_000;
const GIVEN_ID = /^[A-Za-z0-9._-]{1,128}$/;

type Call = Parameters<ReturnType<Interceptor>>[0];

/**
 * Outermost: gives each call its id, and writes its one line of the access log, its metric and its span when it has ended.
 * Good and quick calls are logged at level debug, the others at info: a line costs as much as the call's own work.
 */
export function observe(ports: ObservePorts): Interceptor {
  return settling((next) => (request) => settle(next, request, new ObservedCall(ports, request)));
}

class ObservedCall implements Settling<AnyAnswer, AnyAnswer> {
  readonly requestId: string;
  readonly #ports: ObservePorts;
  readonly #request: Call;
  readonly #started: number;
  readonly #span: CallSpan;
  #ended = false;

  constructor(ports: ObservePorts, request: Call) {
    this.#ports = ports;
    this.#request = request;
    this.#started = ports.clock.monotonic();
    const given = request.header.get("x-request-id");
    this.requestId = given && GIVEN_ID.test(given) ? given : ports.newId();
    request.contextValues.set(REQUEST_ID, this.requestId);
    this.#span = ports.tracing.startCall(request.service.typeName, request.method.name, request.header);
  }

  done(answer: AnyAnswer): AnyAnswer {
    if (answer.stream) {
      answer.header.set("x-request-id", this.requestId);
      return { ...answer, message: followed(answer.message, this) };
    }
    this.end(undefined, answer.header);
    return answer;
  }

  failed(error: unknown): never {
    this.end(error, error instanceof ConnectError ? error.metadata : undefined);
    throw error;
  }

  /** Only its first end counts. `header` is told the id. */
  end(error?: unknown, header?: Headers): void {
    if (this.#ended) return;
    this.#ended = true;
    header?.set("x-request-id", this.requestId);
    const { clock, metrics, logger } = this.#ports;
    const request = this.#request;
    const ms = clock.monotonic() - this.#started;
    const code = error === undefined ? "ok" : codeName(error);
    metrics.observeCall(request.service.typeName, request.method.name, code, ms / 1_000);
    this.#span.end(code);
    const level = error !== undefined || (ms > SLOW_MS && !request.stream) ? "info" : "debug";
    if (logger.isLevelEnabled(level)) logger[level](line(request, this.requestId, code, error, ms), "rpc");
  }
}

function line(request: Call, requestId: string, code: string, error: unknown, ms: number) {
  const caller = request.contextValues.get(CALLER);
  const reason = error instanceof ConnectError ? error.findDetails(ErrorInfoSchema)[0]?.reason : undefined;
  return {
    request_id: requestId,
    rpc: `${request.service.typeName}/${request.method.name}`,
    caller: caller.kind,
    ...("projectId" in caller && { project_id: caller.projectId }),
    ...("userId" in caller && { user_id: caller.userId }),
    address: request.contextValues.get(CLIENT_ADDRESS),
    code,
    ...(reason && { reason }),
    ms: Math.round(ms * 1_000) / 1_000,
  };
}

const followed = <M>(messages: AsyncIterable<M>, call: ObservedCall): AsyncIterable<M> =>
  followMessages(messages, {
    ended: () => call.end(),
    failed(error) {
      call.end(error);
      return error;
    },
    left: () => call.end(new ConnectError("the client left", Code.Canceled)),
  });

const codeName = (error: unknown): string =>
  (Code[ConnectError.from(error).code] ?? "Unknown").replace(/(?<=[a-z])[A-Z]/g, "_$&").toLowerCase();
