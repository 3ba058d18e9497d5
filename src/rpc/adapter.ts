import type { DescMessage } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  type ContextValues,
  createConnectRouter,
  createContextValues,
  type Interceptor,
} from "@connectrpc/connect";
import type { UniversalHandler, UniversalServerResponse } from "@connectrpc/connect/protocol";
import { compressionGzip, universalRequestFromNodeRequest } from "@connectrpc/connect-node";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import { CLIENT_ADDRESS, type ClientAddress } from "./client-address.ts";
import { createCoarseTimers } from "./coarse-timers.ts";
import { createFastPath, type FastPath } from "./fast-path.ts";
import type { Gate } from "./gate.ts";
import { leaveRest } from "./leave-rest.ts";
import { DETAIL_TYPES } from "./map-errors.ts";
import { CONNECTION } from "./open-streams.ts";
import { isGone, type NodeRequest, type NodeResponse, send } from "./plain-http.ts";
import { type RecordedMethods, recordMethods } from "./service-methods.ts";
import { formatOf } from "./strict-decode-format.ts";
import { createMessageReader, type DecodeLimits } from "./strict-decode-message.ts";
import { createDecodeRequest, type DecodeRequest, takeDecoded } from "./strict-decode-request.ts";
import { leaveUndecoded } from "./undecoded.ts";
import { createUnknownMethods } from "./unknown-methods.ts";
import { createWriteAnswer, type WriteAnswer } from "./write-answer.ts";

export interface AdapterOptions {
  /** Registers the services. */
  readonly routes: (router: ConnectRouter) => void;
  /** Lets a call pass before its message is read. What it throws is for the interceptors to throw. */
  readonly gate: Gate;
  /** THE list, outermost first. */
  readonly interceptors: readonly Interceptor[];
  readonly limits?: Partial<RpcLimits>;
  /** The types of the messages that many streams may say: what is one object for all of them is written once, and may not change afterwards. */
  readonly sharedTypes?: readonly DescMessage[];
  /** Whether calls that take one message go by the fast path where they can. */
  readonly fastPath: boolean;
  readonly clientAddress: ClientAddress;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface RpcLimits extends DecodeLimits {
  /** The longest answer, in bytes; a longer one is `resource_exhausted`. */
  readonly writeMaxBytes: number;
  /** Answers from this size on, in bytes, are compressed where the client accepts gzip. */
  readonly compressMinBytes: number;
  /** How long, in milliseconds, a client may take in nothing of its answer before it is cut off. */
  readonly stallTimeoutMs: number;
}

export const RPC_LIMITS: RpcLimits = {
  readMaxBytes: 1024 * 1024,
  anonymousMaxBytes: 64 * 1024,
  longerMessages: new Map(),
  writeMaxBytes: 16 * 1024 * 1024,
  compressMinBytes: 4096,
  stallTimeoutMs: 60_000,
  bodyTimeoutMs: 30_000,
  maxPendingBytes: 256 * 1024 * 1024,
  maxTimeoutMs: 24 * 60 * 60 * 1_000,
};

/** Serves the RPCs over Connect, gRPC and gRPC-Web, on HTTP/1.1 and HTTP/2. */
export interface RpcHandler {
  /** Whether the path is that of an RPC. */
  serves(path: string): boolean;
  /** Answers the request. Never rejects. */
  handle(path: string, request: NodeRequest, response: NodeResponse): Promise<void>;
  /** What answers the calls that it takes at less cost. */
  readonly fast: FastPath | undefined;
}

/** What every call passes, whatever its method. */
interface Path {
  readonly gate: Gate;
  readonly decode: DecodeRequest;
  readonly write: WriteAnswer;
}

/**
 * Puts the services behind the interceptors. Each call: gate, message, protocol handler with the interceptors and the service,
 * answer. Limits that are not given are those of RPC_LIMITS.
 */
export function createRpcHandler(options: AdapterOptions): RpcHandler {
  const limits = { ...RPC_LIMITS, ...options.limits };
  const { handlerFor, methods } = createDispatch(options, limits);
  const reader = createMessageReader(limits, options.clock);
  // A reader that takes nothing is cut off, since what it does not take is held in memory.
  const stalls = createCoarseTimers(limits.stallTimeoutMs, options.clock);
  const path: Path = {
    gate: options.gate,
    decode: createDecodeRequest(reader, limits.maxTimeoutMs),
    write: createWriteAnswer(stalls),
  };
  const sharedTypes = new Set(options.sharedTypes);
  const framing = { compressMinBytes: limits.compressMinBytes, json: JSON_OPTIONS };
  return {
    serves: (target) => handlerFor(target) !== undefined,
    async handle(target, request, response) {
      const handler = handlerFor(target, request);
      if (!handler) return send(request, response, { status: 404 });
      leaveRest(request, options.clock);
      try {
        await answer(handler, path, request, response, valuesOf(options, request));
      } catch (error) {
        if (ConnectError.from(error).code === Code.Aborted || isGone(response)) return;
        options.logger.error({ err: error, rpc: target.slice(1) }, "an answer could not be written");
        if (response.headersSent) response.destroy();
        else send(request, response, { status: 500 });
      }
    },
    fast: options.fastPath
      ? createFastPath({ ...options, methods, reader, stalls, framing, limits, sharedTypes })
      : undefined,
  };
}

const JSON_OPTIONS = { registry: DETAIL_TYPES };

/** Finds what answers a path; without a request, whether anything may. */
type HandlerFor = (path: string, request?: NodeRequest) => UniversalHandler | undefined;

function createDispatch(
  { routes, interceptors }: AdapterOptions,
  limits: RpcLimits,
): { handlerFor: HandlerFor; methods: RecordedMethods["methods"] } {
  const createRouter = () =>
    createConnectRouter({
      interceptors: [takeDecoded, ...interceptors],
      jsonOptions: JSON_OPTIONS,
      acceptCompression: [compressionGzip],
      // Counts only where messages stream in: all others are read in front of the protocol handlers.
      readMaxBytes: limits.readMaxBytes,
      writeMaxBytes: limits.writeMaxBytes,
      compressMinBytes: limits.compressMinBytes,
      maxTimeoutMs: limits.maxTimeoutMs,
    });
  const { router, methods } = recordMethods(createRouter());
  routes(router);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  const unknown = createUnknownMethods(createRouter, new Set(router.handlers.map((handler) => handler.service)));
  const handlerFor: HandlerFor = (path, request) => {
    const handler = handlers.get(path);
    if (handler) return handler;
    if (!request) return unknown(path, "");
    const contentType = request.headers["content-type"] ?? "";
    const standIn = request.method === "POST" ? unknown(path, contentType) : undefined;
    // What is in no protocol is no call.
    return standIn && formatOf(standIn.method, contentType) && standIn;
  };
  return { handlerFor, methods };
}

function valuesOf({ clientAddress }: AdapterOptions, request: NodeRequest): ContextValues {
  const address = clientAddress(request.socket.remoteAddress, request.headers["x-forwarded-for"]);
  const values = createContextValues().set(CLIENT_ADDRESS, address);
  return "stream" in request ? values.set(CONNECTION, request.stream.session) : values;
}

async function answer(
  handler: UniversalHandler,
  { gate, decode, write }: Path,
  request: NodeRequest,
  response: NodeResponse,
  contextValues: ContextValues,
): Promise<void> {
  const arrived = universalRequestFromNodeRequest(request, response as never, undefined, contextValues);
  const universal = Object.assign(arrived, { contextValues });
  try {
    await gate(handler.method, universal);
  } catch (refusal) {
    leaveUndecoded(contextValues, refusal);
  }
  const decoded = universal.signal.aborted ? universal : await decode(handler.method, request, universal);
  // Nobody is left to read an answer.
  if (universal.signal.aborted) return;
  const answered = await handler(decoded);
  await write(withAllow(answered, handler.allowedMethods), response, handler.method.methodKind === "unary");
}

/** 405 names the methods that are served (RFC 9110 §15.5.6). */
function withAllow(response: UniversalServerResponse, methods: readonly string[]): UniversalServerResponse {
  if (response.status !== 405) return response;
  return {
    ...response,
    header: new Headers({ ...Object.fromEntries(response.header ?? []), allow: methods.join(", ") }),
  };
}
