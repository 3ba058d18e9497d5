import { cors } from "@connectrpc/connect";
import { type NodeRequest, type NodeResponse, send } from "./plain-http.ts";

export interface CorsOptions {
  /**
   * Whether some project lists this origin. A preflight carries no credential, so its project is not known; that the caller's
   * own project lists the origin is checked when the call comes.
   */
  isKnownOrigin(origin: string): boolean | Promise<boolean>;
}

/** How long a browser may keep the answer to a preflight, in seconds: the most that Chromium keeps. */
const MAX_AGE_S = 7_200;
const METHODS = cors.allowedMethods.join(", ");
const REQUEST_HEADERS = [...cors.allowedHeaders, "authorization", "x-muster-token", "x-request-id", "traceparent"].join(
  ", ",
);
const EXPOSED_HEADERS = [...cors.exposedHeaders, "x-request-id", "retry-after"].join(", ");

/**
 * Lets the pages of known origins read the answer, and answers preflights (Fetch Standard §3.2). Gives true if the request is
 * answered. An origin is named exactly, never `*`, because cookies may come along.
 */
export function applyCors(
  options: CorsOptions,
  request: NodeRequest,
  response: NodeResponse,
): boolean | Promise<boolean> {
  const { origin } = request.headers;
  const preflight = request.method === "OPTIONS" && request.headers["access-control-request-method"] !== undefined;
  response.setHeader(
    "vary",
    preflight ? "Origin, Access-Control-Request-Method, Access-Control-Request-Headers" : "Origin",
  );
  return origin ? allowOrigin(options, origin, preflight, request, response) : false;
}

async function allowOrigin(
  options: CorsOptions,
  origin: string,
  preflight: boolean,
  request: NodeRequest,
  response: NodeResponse,
): Promise<boolean> {
  const allowed = await allowedTo(options, origin);
  for (const [name, value] of Object.entries(allowed ?? {})) response.setHeader(name, value);
  if (!preflight) {
    if (allowed) response.setHeader(...EXPOSE);
    return false;
  }
  const methods = { "access-control-allow-methods": METHODS, "access-control-allow-headers": REQUEST_HEADERS };
  const headers = allowed ? { ...methods, "access-control-max-age": String(MAX_AGE_S) } : {};
  send(request, response, { status: 204, headers });
  return true;
}

/** The headers, beside `vary`, by which a page of this origin may read an answer that is not one to a preflight. */
export async function readableBy(options: CorsOptions, origin: string): Promise<Record<string, string>> {
  const allowed = await allowedTo(options, origin);
  return allowed ? { ...allowed, [EXPOSE[0]]: EXPOSE[1] } : {};
}

const EXPOSE = ["access-control-expose-headers", EXPOSED_HEADERS] as const;

async function allowedTo(options: CorsOptions, origin: string): Promise<Record<string, string> | undefined> {
  if (!ORIGIN.test(origin) || !(await isKnown(options, origin))) return undefined;
  return { "access-control-allow-origin": origin, "access-control-allow-credentials": "true" };
}

/** While it cannot be told, the origin is none of them; that the database is away is for the call itself to say. */
async function isKnown(options: CorsOptions, origin: string): Promise<boolean> {
  try {
    return await options.isKnownOrigin(origin);
  } catch {
    return false;
  }
}

/** A serialised origin (RFC 6454 §6.2); `null`, which any sandboxed page sends, is none. */
const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@]{1,255}$/i;
