import type { HandlerContext } from "@connectrpc/connect";
import { MusterError } from "../errors.ts";
import { cookieIn, REFRESH_COOKIE, SESSION_COOKIE } from "./credential.ts";
import { originOf, type PageOrigins } from "./page-origin.ts";

/** The call of a page: what it sent, and the header of its answer. */
export type PageCall = Pick<HandlerContext, "requestHeader" | "responseHeader" | "url">;

/** What a page is given to hold. */
export interface CookieTokens {
  readonly sessionToken: string;
  /** For how long, in milliseconds. */
  readonly sessionMs: number;
  readonly refreshToken: string;
  readonly refreshMs: number;
}

/** Keeps a user's tokens in the browser where no script reads them (RFC 6265bis: `__Host-` binds them to this host and to TLS). */
export interface SessionCookies {
  /** Gives the tokens to a page of an origin that may have them; false: to no page. */
  give(call: PageCall, projectId: string, tokens: CookieTokens): Promise<boolean>;
  /** Takes the tokens back from such a page. */
  take(call: PageCall, projectId: string): Promise<void>;
  /** The refresh token that the page holds. ORIGIN_NOT_ALLOWED: the page may not use what its browser sends unasked. */
  refreshTokenOf(call: PageCall, projectId: string): Promise<string | undefined>;
}

/** Makes the cookies of an instance. */
export function createSessionCookies(origins: PageOrigins): SessionCookies {
  const isTrusted = async (call: PageCall, projectId: string): Promise<boolean> => {
    const origin = originOf(origins, call.requestHeader, call.url);
    if (origin.kind === "other") return (await origins.originsOf(projectId)).includes(origin.origin);
    return origin.kind === "own";
  };
  return {
    async give(call, projectId, tokens) {
      if (!(await isTrusted(call, projectId))) return false;
      setCookie(call, SESSION_COOKIE, tokens.sessionToken, tokens.sessionMs);
      setCookie(call, REFRESH_COOKIE, tokens.refreshToken, tokens.refreshMs);
      return true;
    },
    async take(call, projectId) {
      if (!(await isTrusted(call, projectId))) return;
      for (const name of [SESSION_COOKIE, REFRESH_COOKIE]) setCookie(call, name, "", 0);
    },
    async refreshTokenOf(call, projectId) {
      const token = cookieIn(call.requestHeader, REFRESH_COOKIE);
      if (token !== undefined && !(await isTrusted(call, projectId))) throw new MusterError("ORIGIN_NOT_ALLOWED");
      return token;
    },
  };
}

function setCookie({ responseHeader }: PageCall, name: string, value: string, ms: number): void {
  const maxAge = Math.max(0, Math.floor(ms / 1_000));
  responseHeader.append("set-cookie", cookieOf(name, value, maxAge));
}

const cookieOf = (name: string, value: string, maxAge: number): string =>
  `${name}=${value}; Path=/; Max-Age=${maxAge}; HttpOnly; Secure; SameSite=Lax`;

/** The header of an answer that takes the session cookie back, if what a request holds in it is a token that `isIts`. */
export function takenBack(cookie: string | undefined, isIts: (token: string) => boolean): Record<string, string> {
  const held = cookieIn(new Headers({ cookie: cookie ?? "" }), SESSION_COOKIE);
  return held !== undefined && isIts(held) ? { "set-cookie": cookieOf(SESSION_COOKIE, "", 0) } : {};
}
