import { Code, ConnectError, createContextKey, type Interceptor } from "@connectrpc/connect";
import type { Clock } from "../clock.ts";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import type { NewId } from "../ids.ts";
import type { Logger } from "../logger.ts";
import { CALLER } from "./caller.ts";
import { CLIENT_ADDRESS } from "./client-address.ts";
import { followMessages } from "./follow-messages.ts";
import type { Metrics } from "./metrics.ts";
import type { Tracing } from "./tracing.ts";

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
  return (next) => async (request) => {
    const end = begin(ports, request);
    try {
      const response = await next(request);
      if (!response.stream) {
        end(undefined, response.header);
        return response;
      }
      response.header.set("x-request-id", end.requestId);
      return { ...response, message: followed(response.message, end) };
    } catch (error) {
      end(error, error instanceof ConnectError ? error.metadata : undefined);
      throw error;
    }
  };
}

type End = ((error?: unknown, header?: Headers) => void) & { readonly requestId: string };

function begin({ clock, newId, logger, metrics, tracing }: ObservePorts, request: Call): End {
  const started = clock.monotonic();
  const service = request.service.typeName;
  const method = request.method.name;
  const given = request.header.get("x-request-id");
  const requestId = given && GIVEN_ID.test(given) ? given : newId();
  request.contextValues.set(REQUEST_ID, requestId);
  const span = tracing.startCall(service, method, request.header);
  let ended = false;
  const end = (error?: unknown, header?: Headers) => {
    if (ended) return;
    ended = true;
    header?.set("x-request-id", requestId);
    const ms = clock.monotonic() - started;
    const code = error === undefined ? "ok" : codeName(error);
    metrics.observeCall(service, method, code, ms / 1_000);
    span.end(code);
    const level = error !== undefined || (ms > SLOW_MS && !request.stream) ? "info" : "debug";
    if (logger.isLevelEnabled(level)) logger[level](line(request, requestId, code, error, ms), "rpc");
  };
  return Object.assign(end, { requestId });
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

const followed = <M>(messages: AsyncIterable<M>, end: End): AsyncIterable<M> =>
  followMessages(messages, {
    ended: () => end(),
    failed(error) {
      end(error);
      return error;
    },
    left: () => end(new ConnectError("the client left", Code.Canceled)),
  });

const codeName = (error: unknown): string =>
  (Code[ConnectError.from(error).code] ?? "Unknown").replace(/(?<=[a-z])[A-Z]/g, "_$&").toLowerCase();
