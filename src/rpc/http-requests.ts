import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse, IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { RpcHandler } from "./adapter.ts";
import { applyCors, type CorsOptions } from "./cors.ts";
import { Http1Exchange, Http2Exchange } from "./exchange.ts";
import { createFastListener } from "./fast-listener.ts";
import type { HttpLimits } from "./http-limits.ts";
import { jittered } from "./http-sessions.ts";
import { answerPlain, type HttpRoute, type NodeRequest, type NodeResponse, send } from "./plain-http.ts";
import { createReadForm } from "./read-form.ts";

/** Where requests of both protocols arrive. */
export interface RequestListener {
  onHttp1(request: IncomingMessage, response: ServerResponse): void;
  onHttp2(request: Http2ServerRequest, response: Http2ServerResponse): void;
  /** A request over HTTP/2 before Node has made anything of it; false: it is to come to `onHttp2`. */
  onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: readonly string[]): boolean;
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
  const fast = createFastListener(rpc, cors);
  let closeIdle: (() => void) | undefined;

  function limitConnection(request: IncomingMessage, response: ServerResponse): void {
    if (closeIdle || isOld(request.socket)) response.setHeader("connection", "close");
    // The connection counts as idle only after the response has ended.
    response.on("close", () => closeIdle && setImmediate(closeIdle));
  }

  async function answer(request: NodeRequest, response: NodeResponse, path: string | undefined): Promise<void> {
    response.setHeader("x-content-type-options", "nosniff");
    if ("stream" in request && isTooLong(request.rawHeaders, limits.maxHeaderBytes))
      return send(request, response, { status: 431 });
    if (path === undefined) return send(request, response, { status: 400 });
    const answered = applyCors(cors, request, response);
    if (answered && (await answered)) return;
    if (!rpc.serves(path)) return answerPlain(routes, readForm, request, response, path);
    if (request.method === "GET") response.setHeader("cache-control", "no-store");
    await rpc.handle(path, request, response);
  }

  function begin(request: NodeRequest, response: NodeResponse, path: string | undefined): void {
    answer(request, response, path).catch((error: unknown) => {
      logger.error({ err: error }, "a request could not be answered");
      send(request, response, { status: 500 });
    });
  }

  return {
    onHttp1(request, response) {
      response.on("error", () => {});
      limitConnection(request, response);
      const path = pathOf(request.headers.host, request.url);
      if (path !== undefined && fast(path, new Http1Exchange(request, response))) return;
      begin(request, response, path);
    },
    onHttp2(request, response) {
      response.on("error", () => {});
      begin(request, response, pathOf(request.authority, request.url));
    },
    onStream(stream, headers, rawHeaders) {
      if (isTooLong(rawHeaders, limits.maxHeaderBytes)) return false;
      const path = pathOf(headers[":authority"] ?? headers.host, headers[":path"]);
      return path !== undefined && fast(path, new Http2Exchange(stream, headers, clock));
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
    const now = clock.monotonic();
    let limit = oldAt.get(socket);
    if (limit === undefined) {
      limit = now + jittered(limits.maxAgeMs);
      oldAt.set(socket, limit);
    }
    return now >= limit;
  };
}

/**
 * Whether an HTTP/2 header is longer than allowed, as RFC 9113 §6.5.2 counts. Node holds clients to the limit only once they
 * have acknowledged it, which is after their first requests.
 */
function isTooLong(rawHeaders: readonly string[], maxBytes: number): boolean {
  let bytes = 16 * rawHeaders.length;
  for (const text of rawHeaders) bytes += text.length;
  return bytes > maxBytes;
}

/** Tells the path without the query; undefined if the target or the authority is none that a URL can be made of. */
function createPathReader(): (authority: string | undefined, target: string | undefined) => string | undefined {
  // Nearly all requests come for one authority.
  let known: string | undefined;
  return (authority, target = "") => {
    if (!authority || (authority !== known && !isAuthority(authority))) return undefined;
    known = authority;
    if (target.startsWith("/")) {
      const end = target.indexOf("?");
      return end < 0 ? target : target.slice(0, end);
    }
    // The absolute form is for proxies, but must be taken (RFC 9112 §3.2.2).
    if (!/^https?:\/\//i.test(target) || !URL.canParse(target)) return undefined;
    return target.replace(/^https?:\/\/[^/?#]*/i, "").split("?", 1)[0] || "/";
  };
}

const isAuthority = (text: string): boolean => /^[^\s/?#@\\]+$/.test(text) && URL.canParse(`http://${text}/`);
