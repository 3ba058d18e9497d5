import { create, type DescMessage, type Message, toJsonString } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  createContextKey,
  type HandlerContext,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import type { MethodSerializationLookup } from "@connectrpc/connect/protocol";
import type { Clock } from "../clock.ts";
import type { Framing, FramingOptions, Outcome } from "./fast-framing.ts";
import type { WriteMessage } from "./kept-bytes.ts";
import { AnswerHeaders } from "./light-headers.ts";
import type { StreamMethod, UnaryMethod } from "./service-methods.ts";
import { type Settled, type Settling, settle } from "./settle.ts";

/** An RPC, ready to be called. */
export type Callee<M = UnaryMethod> = M & {
  readonly serialization: MethodSerializationLookup<DescMessage, DescMessage>;
  /** Writes answers that many streams say; unset: none is. */
  readonly writeShared: WriteMessage | undefined;
  /** What answers that many streams say as a whole are in JSON; unset: none is. */
  readonly keptJson: WeakMap<Message, Uint8Array> | undefined;
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

/** Calls the service behind the interceptors. Never fails. */
export type RunCall = (call: ReadCall) => Settled<Outcome>;

export interface RunCallOptions {
  /** THE list, outermost first. */
  readonly interceptors: readonly Interceptor[];
  readonly clock: Clock;
  readonly framing: FramingOptions;
  readonly limits: { readonly writeMaxBytes: number };
}

type Next = Parameters<Interceptor>[0];

/** Puts the interceptors in front of the services: once, and not for each call. */
export function createRunCall({ interceptors, clock, framing: { json }, limits }: RunCallOptions): RunCall {
  let chain: Next = callService;
  for (const intercept of interceptors.toReversed()) chain = intercept(chain);
  const encode = createEncode(json, limits.writeMaxBytes);
  return (call) => {
    const answering = beginAnswer(call, clock);
    call.request.contextValues.set(ANSWERING, answering);
    return settle(chain, call.request, new RunningCall(answering, encode, startDeadline(call, clock)));
  };
}

type Encode = ReturnType<typeof createEncode>;

class RunningCall implements Settling<UnaryResponse | StreamResponse, Outcome> {
  readonly #answering: Answering;
  readonly #encode: Encode;
  readonly #deadline: Disposable | undefined;

  constructor(answering: Answering, encode: Encode, deadline: Disposable | undefined) {
    this.#answering = answering;
    this.#encode = encode;
    this.#deadline = deadline;
  }

  done(answered: UnaryResponse | StreamResponse): Outcome {
    this.#deadline?.[Symbol.dispose]();
    try {
      // An interceptor may have put other headers in their place.
      const { header, trailer, message } = answered as UnaryResponse;
      return { header, trailer, message: this.#encode(this.#answering.call, header, message), error: undefined };
    } catch (error) {
      return this.failed(error);
    }
  }

  failed(cause: unknown): Outcome {
    this.#deadline?.[Symbol.dispose]();
    const { call, header, trailer } = this.#answering;
    call.controller.abort(cause);
    return { header, trailer, message: undefined, error: cause instanceof ConnectError ? cause : internal(cause) };
  }
}

/** What a failure is on the wire that the interceptors have not told of. */
export const internal = (cause: unknown): ConnectError =>
  new ConnectError("internal error", Code.Internal, undefined, undefined, cause);

/** The message as it goes over the wire: JSON as text, if that may be joined to the header, which spares copies of it. */
function createEncode(json: FramingOptions["json"], writeMaxBytes: number) {
  return ({ callee, framing }: ReadCall, header: Headers, message: Message): Uint8Array | string => {
    const isPlain = header instanceof AnswerHeaders && header.plainList !== undefined;
    if (framing.codec === "json" && isPlain) {
      const text = textOf(callee.method.output, message, json);
      if (text !== undefined && Buffer.byteLength(text) <= writeMaxBytes) return text;
    }
    return callee.serialization.getO(framing.codec === "binary").serialize(message);
  };
}

/** Undefined: it cannot be written, and how that is told is for Connect's own serialisation. */
function textOf(schema: DescMessage, message: Message, json: FramingOptions["json"]): string | undefined {
  try {
    return toJsonString(schema, message, json);
  } catch {
    return undefined;
  }
}

/** A call that is being answered. */
interface Answering {
  readonly call: ReadCall;
  readonly header: Headers;
  readonly trailer: Headers;
  readonly contextOf: ReturnType<typeof createContexts>;
}

/** What the innermost step of the chain knows the call by: an interceptor may have put another request in the place of its own. */
const ANSWERING = createContextKey<Answering | undefined>(undefined, { description: "the call that is answered" });

function beginAnswer(call: ReadCall, clock: Clock): Answering {
  const { framing, gzip } = call;
  const header = new AnswerHeaders(["content-type", framing.contentType]);
  if (framing.enveloped && gzip) header.set(framing.encodingHeader, "gzip");
  const trailer = new AnswerHeaders(framing.enveloped ? ["grpc-status", "0"] : []);
  return { call, header, trailer, contextOf: createContexts(call, header, trailer, clock) };
}

/** The innermost step: the service itself. */
const callService = ((request: UnaryRequest): Settled<UnaryResponse> => {
  const answering = request.contextValues.get(ANSWERING);
  if (!answering) throw new Error("the call has lost its context values");
  const { header, trailer, call, contextOf } = answering;
  const { method, impl } = call.callee;
  const answer = (given: Awaited<ReturnType<typeof impl>>): UnaryResponse => ({
    stream: false,
    service: method.parent,
    method,
    header,
    trailer,
    message: create(method.output, given),
  });
  const given = impl(request.message as Message, contextOf(request));
  return given instanceof Promise ? given.then(answer) : answer(given);
}) as Next;

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
