import { createHash } from "node:crypto";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";

export type NodeRequest = IncomingMessage | Http2ServerRequest;
export type NodeResponse = ServerResponse | Http2ServerResponse;

/** What a plain HTTP route is told of the request. */
export interface PlainRequest {
  /** HEAD comes to the route for GET. */
  readonly method: "GET" | "HEAD" | "POST";
  /** The path, without the query. */
  readonly path: string;
  /** What the route's `path` matched. */
  readonly match: RegExpMatchArray;
  /** The query, decoded. */
  readonly query: URLSearchParams;
  /** The form that a POST carries, decoded; of a GET it is empty. */
  readonly form: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** The address of the other end of the connection: behind a proxy, the proxy's. */
  readonly peer: string | undefined;
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
 * A resource beside the RPCs, as one route per method. HEAD is answered from GET, whose 200 gets an ETag, and If-None-Match is honoured
 * (RFC 9110 §13). A route that knows its ETag before its content asks `isFresh` itself and answers 304. A POST carries a form.
 */
export interface HttpRoute {
  readonly method: "GET" | "POST";
  /** Matches the whole path. */
  readonly path: RegExp;
  handle(request: PlainRequest): Promise<PlainResponse> | PlainResponse;
}

/** Answers what is not an RPC: 404 for an unknown path, 405 with Allow for another method. Rejects with what the route throws. */
export async function answerPlain(
  routes: readonly HttpRoute[],
  readForm: ReadForm,
  request: NodeRequest,
  response: NodeResponse,
  path: string,
): Promise<void> {
  const found = routes.filter((route) => route.path.test(path));
  if (found.length === 0) return send(request, response, { status: 404 });
  const method = METHODS.find((known) => known === request.method);
  const route = found.find((it) => it.method === (method === "HEAD" ? "GET" : method));
  if (!method || !route) return send(request, response, { status: 405, headers: { allow: allowedBy(found) } });
  const left = new AbortController();
  response.once("close", () => left.abort());
  const form = method === "POST" ? await readForm(request) : new URLSearchParams();
  if (!(form instanceof URLSearchParams)) return send(request, response, form);
  const { headers } = request;
  const [query, peer] = [queryOf(request), request.socket.remoteAddress];
  const match = path.match(route.path) as RegExpMatchArray;
  send(request, response, await route.handle({ method, path, match, query, form, headers, peer, signal: left.signal }));
}

/** Reads the form that a request carries; where it cannot, gives the answer that says why. */
export type ReadForm = (request: NodeRequest) => Promise<URLSearchParams | PlainResponse>;

const METHODS = ["GET", "HEAD", "POST"] as const;

const allowedBy = (routes: readonly HttpRoute[]): string =>
  [...new Set(routes.flatMap(({ method }) => (method === "GET" ? ["GET", "HEAD"] : [method])))].join(", ");

const queryOf = ({ url = "" }: NodeRequest): URLSearchParams =>
  new URLSearchParams(url.includes("?") ? url.slice(url.indexOf("?") + 1) : "");

/** Writes a whole answer, unless one was begun or the client is gone. */
export function send(request: NodeRequest, response: NodeResponse, answer: PlainResponse): void {
  if (response.headersSent || isGone(response)) return;
  const body = Buffer.from(answer.body ?? "");
  const headers: Record<string, string | number> = { "cache-control": "no-store", ...answer.headers };
  headers["x-content-type-options"] = "nosniff";
  let { status } = answer;
  if (status === 200 && request.method !== "POST") {
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
