import { MusterError } from "../errors.ts";
import type { JsonObject, JsonValue } from "./strict-json.ts";
import { refused } from "./strict-jwt.ts";

/** What the claims of a JWT have to say. */
export interface ClaimRules {
  /** The exact `iss`. */
  readonly issuer: string;
  /** Must be among `aud`, exactly; without it any `aud` is taken, or none. */
  readonly audience?: string;
  /** The longest life, from `iat` (from now, where there is none) to `exp`, in milliseconds. */
  readonly maxLifetimeMs: number;
  /** Now, in milliseconds since the epoch. */
  readonly nowMs: number;
}

/** The registered claims of a JWT (RFC 7519 §4.1), checked; times in milliseconds since the epoch. */
export interface CheckedClaims {
  readonly subject: string;
  readonly audience: readonly string[];
  readonly issuedAt: number | undefined;
  readonly expiresAt: number;
}

/** How far the issuer's clock may run ahead of this one, in milliseconds. */
const LEEWAY_MS = 60_000;
const MAX_SUBJECT_LENGTH = 255;
const RESERVED_SUBJECTS = [".system", ".anonymous"];

/** Holds the claims of a token whose signature is proven to the rules. TOKEN_INVALID, TOKEN_EXPIRED. */
export function checkClaims(claims: JsonObject, rules: ClaimRules): CheckedClaims {
  if (claims.iss !== rules.issuer) throw refused("iss is another issuer");
  const subject = checkSubject(claims.sub);
  const audience = checkAudience(claims.aud, rules.audience);
  const times = checkTimes(claims, rules);
  return { subject, audience, ...times };
}

function checkSubject(sub: JsonValue | undefined): string {
  if (typeof sub !== "string" || sub === "" || sub.length > MAX_SUBJECT_LENGTH)
    throw refused("sub is not an identifier");
  if (RESERVED_SUBJECTS.includes(sub)) throw refused("sub is reserved");
  return sub;
}

function checkAudience(aud: JsonValue | undefined, expected: string | undefined): string[] {
  if (aud === undefined && expected === undefined) return [];
  const audience: readonly (JsonValue | undefined)[] = Array.isArray(aud) ? aud : [aud];
  if (audience.length === 0 || !audience.every((value) => typeof value === "string" && value !== ""))
    throw refused("aud is not a list of names");
  if (expected !== undefined && !audience.includes(expected)) throw refused("aud is another audience");
  return audience as string[];
}

function checkTimes(claims: JsonObject, { maxLifetimeMs, nowMs }: ClaimRules) {
  const expiresAt = timeOf(claims, "exp");
  const issuedAt = timeOf(claims, "iat");
  const notBefore = timeOf(claims, "nbf");
  if (expiresAt === undefined) throw refused("exp is missing");
  if (issuedAt !== undefined && issuedAt > nowMs + LEEWAY_MS) throw refused("iat is in the future");
  if (notBefore !== undefined && notBefore > nowMs + LEEWAY_MS) throw refused("nbf is in the future");
  if (issuedAt !== undefined && expiresAt <= issuedAt) throw refused("exp is before iat");
  if (expiresAt <= nowMs) throw new MusterError("TOKEN_EXPIRED");
  if (expiresAt - (issuedAt ?? nowMs) > maxLifetimeMs) throw refused("exp is further off than the longest life");
  return { issuedAt, expiresAt };
}

/** A NumericDate (RFC 7519 §2), whole or with a fraction, in milliseconds. */
function timeOf(claims: JsonObject, name: "exp" | "iat" | "nbf"): number | undefined {
  const value = claims[name];
  if (value === undefined) return undefined;
  if (typeof value !== "number" || !Number.isFinite(value)) throw refused(`${name} is not a number`);
  return value * 1_000;
}
