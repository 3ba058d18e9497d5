import { constants } from "node:http2";
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
import {
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import { CLIENT_ADDRESS, type ClientAddress } from "./client-address.ts";
import { isGone, type NodeRequest, type NodeResponse, send } from "./plain-http.ts";
import { createDecodeRequest, type DecodeLimits, type DecodeRequest, takeDecoded } from "./strict-decode-request.ts";

export interface AdapterOptions {
  /** Registers the services. */
  readonly routes: (router: ConnectRouter) => void;
  /** THE list, outermost first. */
  readonly interceptors: readonly Interceptor[];
  readonly limits?: Partial<RpcLimits>;
  readonly clientAddress: ClientAddress;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface RpcLimits extends DecodeLimits {
  /** The longest answer, in bytes; a longer one is `resource_exhausted`. */
  readonly writeMaxBytes: number;
  /** Answers from this size on, in bytes, are compressed where the client accepts gzip. */
  readonly compressMinBytes: number;
}

export const RPC_LIMITS: RpcLimits = {
  readMaxBytes: 1024 * 1024,
  longerMessages: new Map(),
  writeMaxBytes: 16 * 1024 * 1024,
  compressMinBytes: 4096,
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
}

/** Puts the services behind the interceptors. Limits that are not given are those of RPC_LIMITS. */
export function createRpcHandler(options: AdapterOptions): RpcHandler {
  const limits = { ...RPC_LIMITS, ...options.limits };
  const router = createConnectRouter({
    interceptors: [takeDecoded, ...options.interceptors],
    acceptCompression: [compressionGzip],
    // Counts only where messages stream in: all others are read in front of the protocol handlers.
    readMaxBytes: limits.readMaxBytes,
    writeMaxBytes: limits.writeMaxBytes,
    compressMinBytes: limits.compressMinBytes,
    maxTimeoutMs: limits.maxTimeoutMs,
  });
  options.routes(router);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  const decode = createDecodeRequest(limits, options.clock);
  return {
    serves: (path) => handlers.has(path),
    async handle(path, request, response) {
      const handler = handlers.get(path);
      if (!handler) return send(request, response, { status: 404 });
      leaveRest(request, options.clock);
      try {
        const values = createContextValues().set(
          CLIENT_ADDRESS,
          options.clientAddress(request.socket.remoteAddress, request.headers["x-forwarded-for"]),
        );
        await answer(handler, decode, request, response, values);
      } catch (error) {
        if (ConnectError.from(error).code === Code.Aborted || isGone(response)) return;
        options.logger.error({ err: error, rpc: path.slice(1) }, "an answer could not be written");
        if (response.headersSent) response.destroy();
        else send(request, response, { status: 500 });
      }
    },
  };
}

async function answer(
  handler: UniversalHandler,
  decode: DecodeRequest,
  request: NodeRequest,
  response: NodeResponse,
  values: ContextValues,
): Promise<void> {
  const universal = universalRequestFromNodeRequest(request, response as never, undefined, values);
  const decoded = await decode(handler.method, request, universal);
  // Nobody is left to read an answer.
  if (universal.signal.aborted) return;
  const answered = await handler(decoded);
  await universalResponseToNodeResponse(withAllow(answered, handler.allowedMethods), response as never);
}

/** 405 names the methods that are served (RFC 9110 §15.5.6). */
function withAllow(response: UniversalServerResponse, methods: readonly string[]): UniversalServerResponse {
  if (response.status !== 405) return response;
  return {
    ...response,
    header: new Headers({ ...Object.fromEntries(response.header ?? []), allow: methods.join(", ") }),
  };
}

/**
 * Tells an HTTP/2 client that goes on sending after its answer that the rest is not wanted (RFC 9113 §8.1). It is read and
 * dropped for a second before, so that the answer surely arrives. HTTP/1.1 does the like by itself.
 */
function leaveRest(request: NodeRequest, clock: Clock): void {
  if (!("stream" in request)) return;
  const { stream } = request;
  stream.once("finish", () => {
    if (request.complete) return;
    request.resume();
    const timer = clock.schedule(1_000, () => stream.close(constants.NGHTTP2_NO_ERROR));
    stream.once("close", () => timer[Symbol.dispose]());
  });
}
