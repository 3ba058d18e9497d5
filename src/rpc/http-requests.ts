import type { Socket } from "node:net";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { RpcHandler } from "./adapter.ts";
import { applyCors, type CorsOptions } from "./cors.ts";
import type { HttpLimits } from "./http-limits.ts";
import { jittered } from "./http-sessions.ts";
import { answerPlain, type HttpRoute, type NodeRequest, type NodeResponse, send } from "./plain-http.ts";
import { createReadForm } from "./read-form.ts";

/** Where requests of both protocols arrive. */
export interface RequestListener {
  onRequest(request: NodeRequest, response: NodeResponse): void;
  /** From now on each answer over HTTP/1.1 closes its connection; `closeIdle` is called when one may have become idle. */
  drain(closeIdle: () => void): void;
}

interface Options {
  readonly rpc: RpcHandler;
  readonly routes: readonly HttpRoute[];
  readonly cors: CorsOptions;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Refuses what is no sound request with 400, applies CORS, and hands over to the RPCs or the plain routes. Never throws. */
export function createRequestListener(options: Options, limits: HttpLimits): RequestListener {
  const { rpc, routes, cors, clock, logger } = options;
  const isOld = createAgeCheck(limits, clock);
  const pathOf = createPathReader();
  const readForm = createReadForm(clock);
  let closeIdle: (() => void) | undefined;

  function limitConnection(request: NodeRequest, response: NodeResponse): void {
    if ("stream" in response) return;
    if (closeIdle || isOld(request.socket)) response.setHeader("connection", "close");
    // The connection counts as idle only after the response has ended.
    response.once("close", () => closeIdle && setImmediate(closeIdle));
  }

  async function answer(request: NodeRequest, response: NodeResponse): Promise<void> {
    response.setHeader("x-content-type-options", "nosniff");
    if (isTooLong(request, limits.maxHeaderBytes)) return send(request, response, { status: 431 });
    const path = pathOf(request);
    if (path === undefined) return send(request, response, { status: 400 });
    const answered = applyCors(cors, request, response);
    if (answered && (await answered)) return;
    if (!rpc.serves(path)) return answerPlain(routes, readForm, request, response, path);
    if (request.method === "GET") response.setHeader("cache-control", "no-store");
    await rpc.handle(path, request, response);
  }

  return {
    onRequest(request, response) {
      response.on("error", () => {});
      limitConnection(request, response);
      answer(request, response).catch((error: unknown) => {
        logger.error({ err: error }, "a request could not be answered");
        send(request, response, { status: 500 });
      });
    },
    drain(onIdle) {
      closeIdle = onIdle;
      onIdle();
    },
  };
}

/** Whether an HTTP/1.1 connection is so old that it takes no more requests. */
function createAgeCheck(limits: HttpLimits, clock: Clock): (socket: Socket) => boolean {
  const oldAt = new WeakMap<Socket, number>();
  return (socket) => {
    const limit = oldAt.get(socket) ?? clock.monotonic() + jittered(limits.maxAgeMs);
    oldAt.set(socket, limit);
    return clock.monotonic() >= limit;
  };
}

/**
 * Whether an HTTP/2 header is longer than allowed, as RFC 9113 §6.5.2 counts. Node holds clients to the limit only once they
 * have acknowledged it, which is after their first requests.
 */
function isTooLong(request: NodeRequest, maxBytes: number): boolean {
  if (!("stream" in request)) return false;
  let bytes = 16 * request.rawHeaders.length;
  for (const text of request.rawHeaders) bytes += text.length;
  return bytes > maxBytes;
}

/** Tells the path without the query; undefined if the target or the authority is none that a URL can be made of. */
function createPathReader(): (request: NodeRequest) => string | undefined {
  // Nearly all requests come for one authority.
  let known: string | undefined;
  return (request) => {
    const authority = "authority" in request ? request.authority : request.headers.host;
    if (!authority || (authority !== known && !isAuthority(authority))) return undefined;
    known = authority;
    const target = request.url ?? "";
    if (target.startsWith("/")) return target.split("?", 1)[0];
    // The absolute form is for proxies, but must be taken (RFC 9112 §3.2.2).
    if (!/^https?:\/\//i.test(target) || !URL.canParse(target)) return undefined;
    return target.replace(/^https?:\/\/[^/?#]*/i, "").split("?", 1)[0] || "/";
  };
}

const isAuthority = (text: string): boolean => /^[^\s/?#@\\]+$/.test(text) && URL.canParse(`http://${text}/`);
