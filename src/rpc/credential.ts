import { MusterError } from "../errors.ts";

/** What a call proves its caller with. */
export interface Credential {
  readonly value: string;
  /** Whether the browser sends it by itself: then the page's origin has to be checked. */
  readonly ambient: boolean;
}

/** The headers, beside the cookie, that a user's token is accepted in. */
export const TOKEN_HEADERS = ["authorization", "x-muster-token"] as const;
/** The cookie that a user's token is accepted in. */
export const SESSION_COOKIE = "__Host-muster-session";
/** The cookie that a refresh token is accepted in, by RefreshToken alone. */
export const REFRESH_COOKIE = "__Host-muster-refresh";

/** The longest credential worth looking at, in bytes. */
const MAX_BYTES = 16_384;

/** The credential of a call: `authorization: Bearer …`, else `x-muster-token`, else the session cookie. */
export function credentialOf(header: Headers): Credential | undefined {
  const authorization = header.get("authorization");
  if (authorization !== null) return explicit(/^bearer +([^\s]+) *$/i.exec(authorization)?.[1]);
  const token = header.get("x-muster-token");
  if (token !== null) return explicit(token.trim());
  const cookie = cookieIn(header, SESSION_COOKIE);
  return cookie === undefined ? undefined : { value: cookie, ambient: true };
}

function explicit(value: string | undefined): Credential {
  if (!value || value.length > MAX_BYTES) throw new MusterError("CREDENTIAL_INVALID");
  return { value, ambient: false };
}

/** The value of a cookie that the call carries; undefined: none, or an empty one. */
export function cookieIn(header: Headers, wanted: string): string | undefined {
  const cookies = header.get("cookie");
  if (cookies === null) return undefined;
  for (const cookie of cookies.split(";")) {
    const [name, value] = cookie.split("=", 2);
    if (name?.trim() === wanted && value) return value.trim();
  }
  return undefined;
}
