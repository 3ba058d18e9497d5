import { createHash } from "node:crypto";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";

export type NodeRequest = IncomingMessage | Http2ServerRequest;
export type NodeResponse = ServerResponse | Http2ServerResponse;

/** What a plain HTTP route is told of the request. */
export interface PlainRequest {
  /** The path, without the query. */
  readonly path: string;
  /** What the route's `path` matched. */
  readonly match: RegExpMatchArray;
  readonly headers: IncomingHttpHeaders;
  /** Aborts when the client leaves. */
  readonly signal: AbortSignal;
}

export interface PlainResponse {
  readonly status: number;
  /** Names in lower case. `cache-control` is `no-store` unless given. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/**
 * A resource beside the RPCs. HEAD is answered from GET; a 200 gets an ETag, and If-None-Match is honoured (RFC 9110 §13). A route that
 * knows its ETag before its content asks `isFresh` itself and answers 304.
 */
export interface HttpRoute {
  readonly method: "GET";
  /** Matches the whole path. */
  readonly path: RegExp;
  handle(request: PlainRequest): Promise<PlainResponse> | PlainResponse;
}

/** Answers what is not an RPC: 404 for an unknown path, 405 with Allow for another method. Rejects with what the route throws. */
export async function answerPlain(
  routes: readonly HttpRoute[],
  request: NodeRequest,
  response: NodeResponse,
  path: string,
): Promise<void> {
  for (const route of routes) {
    const match = path.match(route.path);
    if (!match) continue;
    if (request.method !== route.method && request.method !== "HEAD") {
      return send(request, response, { status: 405, headers: { allow: "GET, HEAD" } });
    }
    const left = new AbortController();
    response.once("close", () => left.abort());
    const answer = await route.handle({ path, match, headers: request.headers, signal: left.signal });
    return send(request, response, answer);
  }
  send(request, response, { status: 404 });
}

/** Writes a whole answer, unless one was begun or the client is gone. */
export function send(request: NodeRequest, response: NodeResponse, answer: PlainResponse): void {
  if (response.headersSent || isGone(response)) return;
  const body = Buffer.from(answer.body ?? "");
  const headers: Record<string, string | number> = { "cache-control": "no-store", ...answer.headers };
  headers["x-content-type-options"] = "nosniff";
  let { status } = answer;
  if (status === 200) {
    headers["etag"] ??= `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
    if (isFresh(request.headers["if-none-match"], String(headers["etag"]))) status = 304;
  }
  if (status === 304) delete headers["content-type"];
  else headers["content-length"] = body.length;
  writeHead(response, status, headers);
  if (request.method === "HEAD" || status === 304) response.end();
  else response.end(body);
}

/** Whether nobody is left to read the answer. */
export const isGone = (response: NodeResponse): boolean =>
  "stream" in response ? response.stream.destroyed : response.destroyed;

/** The two kinds of response declare `writeHead` apart from each other. */
function writeHead(response: NodeResponse, status: number, headers: Record<string, string | number>): void {
  if ("stream" in response) response.writeHead(status, headers);
  else response.writeHead(status, headers);
}

/** Whether what the client has is what it would be given: the weak comparison of RFC 9110 §13.1.2. */
export function isFresh(ifNoneMatch: string | undefined, etag: string): boolean {
  if (!ifNoneMatch) return false;
  if (ifNoneMatch.trim() === "*") return true;
  return ifNoneMatch.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
}
