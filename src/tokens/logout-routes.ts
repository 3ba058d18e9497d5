import { MusterError } from "../errors.ts";
import type { ProjectDirectory, ProjectSettings } from "../projects/projects.ts";
import type { HttpRoute, PlainRequest, PlainResponse } from "../rpc/plain-http.ts";
import { takenBack } from "../rpc/session-cookies.ts";
import type { LogoutLinks, LogoutSubject } from "./logout-links.ts";
import { askingPage, PAGE_HEADERS, tellingPage } from "./logout-page.ts";
import { type SignOutPorts, signOut } from "./sign-out.ts";
import { parseJwt } from "./strict-jwt.ts";
import { ACCESS_TOKEN_TYPE } from "./verify-token.ts";

export interface LogoutPorts extends SignOutPorts {
  readonly projects: ProjectDirectory;
  readonly logoutLinks: LogoutLinks;
  /** Where browsers reach this instance. */
  readonly publicUrl: string;
  /** Counts a request against where it comes from. RATE_LIMITED. */
  charge(request: PlainRequest): Promise<void>;
  /** The client's IP address; empty where it is not known. */
  addressOf(request: PlainRequest): string;
}

/** Where logout links lead. GET asks, POST signs out; so does GET where the project says so and a person follows the link. */
export function logoutRoutes(ports: LogoutPorts): HttpRoute[] {
  const path = /^\/logout$/;
  return [
    { method: "GET", path, handle: (request) => answer(ports, request, request.query, follow) },
    { method: "POST", path, handle: (request) => answer(ports, request, request.form, press) },
  ];
}

/** A link that is good, and what its project says. */
interface Followed {
  readonly token: string;
  readonly subject: LogoutSubject;
  readonly settings: ProjectSettings;
}

type Act = (ports: LogoutPorts, request: PlainRequest, followed: Followed) => Promise<PlainResponse> | PlainResponse;

async function answer(
  ports: LogoutPorts,
  request: PlainRequest,
  fields: URLSearchParams,
  act: Act,
): Promise<PlainResponse> {
  try {
    await ports.charge(request);
    const [token = "", ...more] = fields.getAll("token");
    const subject = more.length === 0 ? ports.logoutLinks.read(token) : undefined;
    if (!subject) return telling(400, "This link is not valid", "It may have been cut off. Nothing was changed.");
    if (subject.expiresAt <= ports.clock.now())
      return telling(410, "This link has expired", "What it was made for has ended by itself, or has a newer link.");
    const { settings } = await ports.projects.get(subject.projectId);
    return await act(ports, request, { token, subject, settings });
  } catch (error) {
    return refusalOf(error, request.signal);
  }
}

const follow: Act = (ports, request, followed) =>
  followed.settings.oneClickLogout && isFollowedByHand(request)
    ? end(ports, request, followed)
    : { status: 200, headers: PAGE_HEADERS, body: askingPage(followed.token) };

const press: Act = (ports, request, followed) =>
  isOfOwnPage(ports, request, followed.settings)
    ? end(ports, request, followed)
    : telling(403, "This page may not sign you out", "Follow the link itself. Nothing was changed.");

async function end(ports: LogoutPorts, request: PlainRequest, { subject }: Followed): Promise<PlainResponse> {
  const ended = await signOut(ports, subject, { address: ports.addressOf(request), signal: request.signal });
  const cookies = takenBack(request.headers.cookie, (held) => isSame(held, subject));
  const page = ended
    ? telling(200, "You are signed out", "You can close this page.")
    : telling(200, "You were signed out already", "Nothing was changed. You can close this page.");
  return { ...page, headers: { ...page.headers, ...cookies } };
}

const telling = (status: number, title: string, text: string): PlainResponse => ({
  status,
  headers: PAGE_HEADERS,
  body: tellingPage(title, text),
});

/** Not HEAD, nor what a browser loads ahead or into another page. Those who say nothing of it are taken for a person. */
function isFollowedByHand({ method, headers }: PlainRequest): boolean {
  const purposes = ["sec-purpose", "purpose", "x-purpose", "x-moz"].map((name) => headers[name]);
  const isAhead = /prefetch|prerender|preview/i.test(purposes.join());
  return method === "GET" && !isAhead && (headers["sec-fetch-dest"] ?? "document") === "document";
}

/**
 * Whether the form stood on a page of the server, or of an origin that the project lists. Only defence in depth: who sends the token of a
 * link needs no browser for it. Our own page tells no referrer, so that its origin is `null` where the browser does not name its site.
 */
function isOfOwnPage(
  { publicUrl }: LogoutPorts,
  { headers }: PlainRequest,
  { corsOrigins }: Pick<ProjectSettings, "corsOrigins">,
): boolean {
  const { origin = "null", "sec-fetch-site": site } = headers;
  if (site === "same-origin" || site === "none") return true;
  if (origin === "null") return site === undefined;
  return origin === new URL(publicUrl).origin || corsOrigins.includes(origin);
}

/** Whether a JWT is the one that a link ends. Unproven: all that follows is that a browser drops it. */
function isSame(held: string, { tokenId }: LogoutSubject): boolean {
  try {
    return parseJwt(held, { type: ACCESS_TOKEN_TYPE }).claims.jti === tokenId;
  } catch {
    return false;
  }
}

function refusalOf(error: unknown, signal: AbortSignal): PlainResponse {
  // Nobody is left to read the answer.
  if (signal.aborted) return { status: 503 };
  if (!(error instanceof MusterError)) throw error;
  if (error.reason === "RATE_LIMITED") {
    const seconds = Math.ceil((error.extra.retryAfterMs ?? 1_000) / 1_000);
    const page = telling(429, "Too many requests", "Try again in a moment. Nothing was changed.");
    return { ...page, headers: { ...page.headers, "retry-after": String(seconds) } };
  }
  if (error.reason === "PROJECT_NOT_FOUND")
    return telling(410, "You were signed out already", "Nothing was changed. You can close this page.");
  if (error.reason !== "STORAGE_UNAVAILABLE") throw error;
  const page = telling(
    503,
    "You are not signed out yet",
    "Something is not available just now. Try again in a moment.",
  );
  return { ...page, headers: { ...page.headers, "retry-after": "1" } };
}
