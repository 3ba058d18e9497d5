import { create, type DescMessage, type Message } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type HandlerContext,
  type Interceptor,
  type StreamRequest,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import type { MethodSerializationLookup } from "@connectrpc/connect/protocol";
import type { Clock } from "../clock.ts";
import type { Framing, Outcome } from "./fast-framing.ts";
import type { StreamMethod, UnaryMethod } from "./service-methods.ts";

/** An RPC, ready to be called. */
export type Callee<M = UnaryMethod> = M & {
  readonly serialization: MethodSerializationLookup<DescMessage, DescMessage>;
};

/** A call whose message has been read. */
export interface ReadCall<M = UnaryMethod> {
  readonly callee: Callee<M>;
  readonly framing: Framing;
  readonly request: UnaryRequest;
  /** Aborts the request's signal. */
  readonly controller: AbortController;
  /** Whether an answer may be compressed. */
  readonly gzip: boolean;
  /** How long the call may take from now on, in milliseconds. */
  readonly timeoutMs: number | undefined;
}

type Next = Parameters<Interceptor>[0];

/** Calls the service behind the interceptors, the first of which is outermost. Never rejects. */
export async function runCall(call: ReadCall, interceptors: readonly Interceptor[], clock: Clock): Promise<Outcome> {
  const { callee, framing, request, controller } = call;
  const { header, trailer } = answerHeaders(call);
  using _deadline = startDeadline(call, clock);
  const outcome: { header: Headers; trailer: Headers; message?: Uint8Array; error?: ConnectError } = {
    header,
    trailer,
  };
  try {
    let next: Next = serviceOf(call, header, trailer, clock);
    for (let index = interceptors.length - 1; index >= 0; index--) next = interceptors[index]?.(next) ?? next;
    const answered = (await next(request)) as UnaryResponse;
    // An interceptor may have put others in their place.
    outcome.header = answered.header;
    outcome.trailer = answered.trailer;
    outcome.message = callee.serialization.getO(framing.codec === "binary").serialize(answered.message);
  } catch (error) {
    controller.abort(error);
    outcome.error = error instanceof ConnectError ? error : internal(error);
  }
  return outcome;
}

/** What a failure is on the wire that the interceptors have not told of. */
export const internal = (cause: unknown): ConnectError =>
  new ConnectError("internal error", Code.Internal, undefined, undefined, cause);

function answerHeaders({ framing, gzip }: ReadCall): { header: Headers; trailer: Headers } {
  const header = new Headers();
  header.set("content-type", framing.contentType);
  const trailer = new Headers();
  if (!framing.enveloped) return { header, trailer };
  if (gzip) header.set(framing.encodingHeader, "gzip");
  trailer.set("grpc-status", "0");
  return { header, trailer };
}

/** The innermost step: the service itself. */
function serviceOf(call: ReadCall, header: Headers, trailer: Headers, clock: Clock): Next {
  const { method, impl } = call.callee;
  const service = method.parent;
  const contextOf = createContexts(call, header, trailer, clock);
  return async (request) => {
    const message = create(method.output, await impl(request.message as Message, contextOf(request)));
    return { stream: false, service, method, header, trailer, message };
  };
}

/** What a service is told of a call. */
export function createContexts(
  { callee: { method }, framing, timeoutMs }: ReadCall<UnaryMethod | StreamMethod>,
  responseHeader: Headers,
  responseTrailer: Headers,
  clock: Clock,
): (request: UnaryRequest | StreamRequest) => HandlerContext {
  const until = timeoutMs === undefined ? undefined : clock.monotonic() + timeoutMs;
  return (request) => ({
    service: method.parent,
    method,
    protocolName: framing.protocol,
    requestMethod: request.requestMethod,
    url: request.url,
    timeoutMs: () => (until === undefined ? undefined : until - clock.monotonic()),
    signal: request.signal,
    requestHeader: request.header,
    responseHeader,
    responseTrailer,
    values: request.contextValues,
  });
}

/** Has the call aborted once its time has passed. */
export function startDeadline(
  { timeoutMs, controller }: Pick<ReadCall, "timeoutMs" | "controller">,
  clock: Clock,
): Disposable | undefined {
  if (timeoutMs === undefined) return undefined;
  const pass = () => controller.abort(new ConnectError("the operation timed out", Code.DeadlineExceeded));
  if (timeoutMs > 0) return clock.schedule(timeoutMs, pass);
  pass();
  return undefined;
}
