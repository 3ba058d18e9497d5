import { MusterError } from "../errors.ts";
import type { JsonObject, JsonValue } from "./strict-json.ts";
import { refused } from "./strict-jwt.ts";

/** What the claims of a JWT have to say. */
export interface ClaimRules extends TimeRules {
  /** The exact `iss`. */
  readonly issuer: string;
  /** Must be among `aud`, exactly; without it any `aud` is taken, or none. */
  readonly audience?: string;
}

/** What the times of a JWT have to be like. */
export interface TimeRules {
  /** Now, in milliseconds since the epoch. */
  readonly nowMs: number;
  /** The longest life, from `iat` (from now, where there is none) to `exp`, in milliseconds; without it any. */
  readonly maxLifetimeMs?: number;
  /** For how long a token is taken after its `exp`, where this clock may run ahead of the issuer's, in milliseconds; default: not at all. */
  readonly expiryLeewayMs?: number;
}

/** The times of a JWT, checked; in milliseconds since the epoch. */
export interface CheckedTimes {
  readonly issuedAt: number | undefined;
  readonly expiresAt: number;
}

/** The registered claims of a JWT (RFC 7519 §4.1), checked. */
export interface CheckedClaims extends CheckedTimes {
  readonly subject: string;
  readonly audience: readonly string[];
}

/** How far the clocks of two parties may be apart, in milliseconds: an issuer's may run ahead of this one by as much. */
export const CLOCK_LEEWAY_MS = 60_000;
const MAX_SUBJECT_BYTES = 255;
const RESERVED_SUBJECTS = [".system", ".anonymous"];

/** Holds the claims of a token whose signature is proven to the rules. TOKEN_INVALID, TOKEN_EXPIRED. */
export function checkClaims(claims: JsonObject, rules: ClaimRules): CheckedClaims {
  if (claims.iss !== rules.issuer) throw refused("iss is another issuer");
  const subject = checkSubject(claims);
  const audience = checkAudience(claims, rules.audience);
  const times = checkTimes(claims, rules);
  return { subject, audience, ...times };
}

/** The `sub`: 1 to 255 bytes, and nobody who is no user. TOKEN_INVALID. */
export function checkSubject({ sub }: JsonObject): string {
  if (typeof sub !== "string" || sub === "" || Buffer.byteLength(sub) > MAX_SUBJECT_BYTES)
    throw refused("sub is not an identifier of 1 to 255 bytes");
  if (RESERVED_SUBJECTS.includes(sub)) throw refused("sub is reserved");
  return sub;
}

/** The names in `aud`, of which there is at least one where one is expected. TOKEN_INVALID. */
export function checkAudience({ aud }: JsonObject, expected: string | undefined): string[] {
  if (aud === undefined && expected === undefined) return [];
  const audience: readonly (JsonValue | undefined)[] = Array.isArray(aud) ? aud : [aud];
  if (audience.length === 0 || !audience.every((value) => typeof value === "string" && value !== ""))
    throw refused("aud is not a list of names");
  if (expected !== undefined && !audience.includes(expected)) throw refused("aud is another audience");
  return audience as string[];
}

/** `exp`, which must be there, `iat` and `nbf`. TOKEN_INVALID, TOKEN_EXPIRED. */
export function checkTimes(claims: JsonObject, { maxLifetimeMs, nowMs, expiryLeewayMs = 0 }: TimeRules): CheckedTimes {
  const expiresAt = timeOf(claims, "exp");
  const issuedAt = timeOf(claims, "iat");
  const notBefore = timeOf(claims, "nbf");
  if (expiresAt === undefined) throw refused("exp is missing");
  if (issuedAt !== undefined && issuedAt > nowMs + CLOCK_LEEWAY_MS) throw refused("iat is in the future");
  if (notBefore !== undefined && notBefore > nowMs + CLOCK_LEEWAY_MS) throw refused("nbf is in the future");
  if (issuedAt !== undefined && expiresAt <= issuedAt) throw refused("exp is before iat");
  if (expiresAt + expiryLeewayMs <= nowMs) throw new MusterError("TOKEN_EXPIRED", { cause: new Error("exp is over") });
  if (maxLifetimeMs !== undefined && expiresAt - (issuedAt ?? nowMs) > maxLifetimeMs)
    throw refused("exp is further off than the longest life");
  return { issuedAt, expiresAt };
}

/**
 * How old a JWT is that has passed `checkTimes`: by `iat` at most `maxAgeMs`; one that does not tell ends no later than that from now.
 * TOKEN_INVALID.
 */
export function checkAge({ issuedAt, expiresAt }: CheckedTimes, maxAgeMs: number, nowMs: number): void {
  if (issuedAt === undefined) {
    if (expiresAt - nowMs > maxAgeMs + CLOCK_LEEWAY_MS) throw refused("iat is missing, and exp is far off");
  } else if (nowMs - issuedAt > maxAgeMs + CLOCK_LEEWAY_MS) throw refused("iat is too long ago");
}

/** A NumericDate (RFC 7519 §2), whole or with a fraction, in milliseconds. */
function timeOf(claims: JsonObject, name: "exp" | "iat" | "nbf"): number | undefined {
  const value = claims[name];
  if (value === undefined) return undefined;
  if (typeof value !== "number" || !Number.isFinite(value)) throw refused(`${name} is not a number`);
  return value * 1_000;
}
