import { invalid } from "../errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "./strict-json.ts";
import { MAX_JSON_DEPTH } from "./strict-jwt.ts";

/** What Muster alone says: the registered claims (RFC 7519 §4.1) and its own. */
const RESERVED = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "ext"];
/** Names that turn into something else when objects are merged carelessly. */
const UNSAFE = ["__proto__", "constructor", "prototype"];
const MAX_CLAIMS = 20;
const MAX_BYTES = 4_096;

/** Gives back the claims a caller may add to a token. REQUEST_INVALID names the field. */
export function checkCustomClaims(claims: JsonObject): JsonObject {
  const names = Object.keys(claims);
  const reserved = names.find((name) => RESERVED.includes(name));
  if (reserved !== undefined) throw invalid(`claims.${reserved}`, "is set by Muster");
  if (names.length > MAX_CLAIMS) throw invalid("claims", `must be at most ${MAX_CLAIMS}`);
  // The claims' own object is the outermost one of the token.
  checkValue(claims, 1);
  if (Buffer.byteLength(JSON.stringify(claims)) > MAX_BYTES)
    throw invalid("claims", `must be at most ${MAX_BYTES} bytes as JSON`);
  return claims;
}

/** Checks whom a token is to be for. With the bounds of the claims it keeps every token under 16 KiB. REQUEST_INVALID. */
export function checkAudience(audience: readonly string[]): void {
  if (!audience.every((name) => name !== "" && isText(name)))
    throw invalid("audience", "must hold well-formed names only");
  if (Buffer.byteLength(JSON.stringify(audience)) > MAX_BYTES)
    throw invalid("audience", `must be at most ${MAX_BYTES} bytes as JSON`);
}

/** A token that its own verifier would refuse is not made. */
function checkValue(value: JsonValue, depth: number): void {
  if (typeof value === "number" && !Number.isFinite(value)) throw invalid("claims", "must hold finite numbers only");
  if (typeof value === "string" && !isText(value))
    throw invalid("claims", "must hold well-formed text without NUL only");
  if (typeof value !== "object" || value === null) return;
  if (depth > MAX_JSON_DEPTH) throw invalid("claims", `must not be nested deeper than ${MAX_JSON_DEPTH}`);
  const names = isJsonObject(value) ? Object.keys(value) : [];
  if (names.some((name) => UNSAFE.includes(name) || !isText(name))) throw invalid("claims", "must not use that name");
  for (const member of Object.values(value)) checkValue(member as JsonValue, depth + 1);
}

const isText = (text: string): boolean => text.isWellFormed() && !text.includes("\0");
