import { describe, expect, test } from "vitest";
import { MusterError } from "../../src/errors.ts";
import { checkClaims } from "../../src/tokens/jwt-claims.ts";
import { parseJwt } from "../../src/tokens/strict-jwt.ts";

const NOW_MS = 1_800_000_000_000;
const NOW = NOW_MS / 1_000;
const DAY = 86_400;
const RULES = { issuer: "https://id.example/projects/p", audience: "p", maxLifetimeMs: DAY * 1_000, nowMs: NOW_MS };

const HEADER = { alg: "EdDSA", kid: "k", typ: "at+jwt" };
const CLAIMS = { iss: RULES.issuer, sub: "u", aud: "p", iat: NOW - 10, exp: NOW + 3_600 };

const encode = (value: unknown): string =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
const bytes = (...values: number[]): string => Buffer.from(values).toString("base64url");

const H = encode(HEADER);
const C = encode(CLAIMS);
const S = Buffer.alloc(64, 7).toString("base64url");

const withHeader = (header: unknown): string => `${encode(header)}.${C}.${S}`;
const withClaims = (claims: unknown): string => `${H}.${encode(claims)}.${S}`;
const changed = (change: object): string => withClaims({ ...CLAIMS, ...change });
const without = (name: keyof typeof CLAIMS): string => changed({ [name]: undefined });
const text = (from: object, insert: string): string => `${JSON.stringify(from).slice(0, -1)},${insert}}`;
const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);

/** Everything the parser and the claim rules say about a token before and after its signature. */
function check(token: string): unknown {
  return checkClaims(parseJwt(token, { type: "at+jwt" }).claims, RULES);
}

function reasonOf(work: () => unknown): unknown {
  try {
    return { passed: work() };
  } catch (error) {
    return error instanceof MusterError ? error.reason : error;
  }
}

const FORM: [string, string][] = [
  ["nothing", ""],
  ["dots alone", ".."],
  ["one part", H],
  ["two parts", `${H}.${C}`],
  ["four parts", `${H}.${C}.${S}.${S}`],
  ["five parts, as encrypted", `${H}.${C}.${S}.${S}.${S}`],
  ["no header", `.${C}.${S}`],
  ["no claims (detached)", `${H}..${S}`],
  ["no signature (unsecured)", `${H}.${C}.`],
  ["padding", `${H}.${C}.${S}==`],
  ["padding in the header", `${H}=.${C}.${S}`],
  ["base64 instead of base64url", `${H}.${C}.${S.slice(0, -2)}+/`],
  ["a space before", ` ${H}.${C}.${S}`],
  ["a space after", `${H}.${C}.${S} `],
  ["a line break after", `${H}.${C}.${S}\n`],
  ["a line break within", `${H}.${C}\n.${S}`],
  ["a tab within", `${H}.\t${C}.${S}`],
  ["NUL", `${H}.${C}.${S}\0`],
  ["a letter beyond ASCII", `${H}.${C}.${S.slice(0, -1)}é`],
  ["a full-width letter", `${H}.${C}.Ａ${S.slice(1)}`],
  ["percent encoding", `${H}.${C}.${S.slice(0, -3)}%41`],
  ["the scheme in front", `Bearer ${H}.${C}.${S}`],
  ["stray bits in the signature", `${H}.${C}.${S.slice(0, -1)}${S.endsWith("w") ? "x" : "B"}`],
  ["stray bits in the header", `${stray(H)}.${C}.${S}`],
  ["stray bits in the claims", `${H}.${stray(C)}.${S}`],
  ["a length that base64url cannot have", `${H}.${C}.${S.slice(0, 85)}`],
  ["more than 16 KiB", withClaims({ ...CLAIMS, x: "x".repeat(13_000) })],
  ["the JSON serialisation", JSON.stringify({ protected: H, payload: C, signature: S })],
];

/** Sets a bit that decoding drops: same bytes, another spelling. */
function stray(part: string): string {
  for (const filler of ["", " ", "  "]) {
    const json = Buffer.from(part, "base64url").toString().replace(/}$/, `${filler}}`);
    const encoded = encode(json);
    if (encoded.length % 4 !== 0)
      return encoded.slice(0, -1) + String.fromCharCode(encoded.charCodeAt(encoded.length - 1) + 1);
  }
  throw new Error("unreachable");
}

const HEADERS: [string, string][] = [
  ["not JSON", withHeader("{")],
  ["an array", withHeader([HEADER])],
  ["a string", withHeader('"EdDSA"')],
  ["null", withHeader("null")],
  ["a number", withHeader("1")],
  ["two values", withHeader(`${JSON.stringify(HEADER)}{}`)],
  ["a comment", withHeader(`${JSON.stringify(HEADER)}/**/`)],
  ["a byte order mark", withHeader(`\ufeff${JSON.stringify(HEADER)}`)],
  ["UTF-16", `${Buffer.from(JSON.stringify(HEADER), "utf16le").toString("base64url")}.${C}.${S}`],
  ["invalid UTF-8", `${bytes(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d)}.${C}.${S}`],
  ["an overlong encoding", `${bytes(0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x3a, 0x31, 0x7d)}.${C}.${S}`],
  ["no alg", withHeader({ ...HEADER, alg: undefined })],
  ["an empty alg", withHeader({ ...HEADER, alg: "" })],
  ["a list of algs", withHeader({ ...HEADER, alg: ["EdDSA", "none"] })],
  ["alg null", withHeader({ ...HEADER, alg: null })],
  ["alg twice", withHeader(text(HEADER, '"alg":"none"'))],
  ["alg twice, once escaped", withHeader(text(HEADER, '"\\u0061lg":"none"'))],
  ["kid twice", withHeader(text(HEADER, '"kid" : "other"'))],
  ["kid a number", withHeader({ ...HEADER, kid: 1 })],
  ["an empty kid", withHeader({ ...HEADER, kid: "" })],
  ["a kid of 256 characters", withHeader({ ...HEADER, kid: "k".repeat(256) })],
  ["no typ", withHeader({ ...HEADER, typ: undefined })],
  ["the typ of another purpose", withHeader({ ...HEADER, typ: "JWT" })],
  ["typ in capitals", withHeader({ ...HEADER, typ: "AT+JWT" })],
  ["typ a list", withHeader({ ...HEADER, typ: ["at+jwt"] })],
  ["jwk", withHeader({ ...HEADER, jwk: { kty: "OKP", crv: "Ed25519", x: "" } })],
  ["jku", withHeader({ ...HEADER, jku: "https://evil.example/jwks.json" })],
  ["x5u", withHeader({ ...HEADER, x5u: "https://evil.example/cert.pem" })],
  ["x5c", withHeader({ ...HEADER, x5c: [] })],
  ["x5t", withHeader({ ...HEADER, x5t: "" })],
  ["crit", withHeader({ ...HEADER, crit: ["exp"] })],
  ["an empty crit", withHeader({ ...HEADER, crit: [] })],
  ["b64", withHeader({ ...HEADER, b64: false })],
  ["zip", withHeader({ ...HEADER, zip: "DEF" })],
  ["cty", withHeader({ ...HEADER, cty: "JWT" })],
  ["enc", withHeader({ ...HEADER, enc: "A256GCM" })],
  ["epk", withHeader({ ...HEADER, epk: {} })],
  ["__proto__", withHeader(text(HEADER, '"__proto__":{"alg":"none"}'))],
  ["a member of its own", withHeader({ ...HEADER, x: 1 })],
  ["Alg beside alg", withHeader({ ...HEADER, Alg: "none" })],
  ["a lone surrogate", withHeader(JSON.stringify(HEADER).replace('"k"', '"\\ud800"'))],
];

const CLAIM_SETS: [string, string][] = [
  ["not JSON", withClaims("{'sub':'u'}")],
  ["an array", withClaims([CLAIMS])],
  ["a string", withClaims('"u"')],
  ["null", withClaims("null")],
  ["invalid UTF-8", `${H}.${bytes(0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x7d)}.${S}`],
  ["sub twice", withClaims(text(CLAIMS, '"sub":"other"'))],
  ["exp twice, once escaped", withClaims(text(CLAIMS, '"\\u0065xp":9999999999'))],
  ["a member twice, deep down", withClaims(text(CLAIMS, '"a":[{"b":{"c":1,"d":[],"c":2}}]'))],
  ["a member twice after a string full of structure", withClaims(text(CLAIMS, '"a":"\\"}{[:,","b":1,"b":2'))],
  ["nested 17 deep", withClaims(text(CLAIMS, `"a":${nested(16)}`))],
  ["nested 5,000 deep", withClaims(text(CLAIMS, `"a":${nested(5_000)}`))],
  ["NUL in a string", changed({ sub: "u\0" })],
  ["a lone surrogate in a string", withClaims(JSON.stringify(CLAIMS).replace('"u"', '"\\udc00"'))],
  ["a lone surrogate in a name", withClaims(text(CLAIMS, '"\\ud800":1'))],
  ["a number out of range", withClaims(text(CLAIMS, '"x":1e400'))],
  ["no exp", without("exp")],
  ["exp null", changed({ exp: null })],
  ["exp a string", changed({ exp: String(NOW + 3_600) })],
  ["exp a date", changed({ exp: new Date(NOW_MS + 1_000).toISOString() })],
  ["exp a list", changed({ exp: [NOW + 3_600] })],
  ["exp a boolean", changed({ exp: true })],
  ["exp infinite", withClaims(JSON.stringify(CLAIMS).replace(String(CLAIMS.exp), "1e999"))],
  ["exp in milliseconds", changed({ exp: NOW_MS + 3_600_000 })],
  ["a life over the maximum", changed({ iat: NOW, exp: NOW + DAY + 1 })],
  ["a life over the maximum, by an old iat", changed({ iat: NOW - DAY, exp: NOW + 1 })],
  ["a life over the maximum, without iat", changed({ iat: undefined, exp: NOW + DAY + 1 })],
  ["iat after exp", changed({ iat: NOW + 50, exp: NOW + 40 })],
  ["iat over a minute ahead", changed({ iat: NOW + 61 })],
  ["iat a string", changed({ iat: String(NOW) })],
  ["iat null", changed({ iat: null })],
  ["nbf over a minute ahead", changed({ nbf: NOW + 61 })],
  ["nbf a string", changed({ nbf: "0" })],
  ["no sub", without("sub")],
  ["an empty sub", changed({ sub: "" })],
  ["sub a number", changed({ sub: 1 })],
  ["sub an object", changed({ sub: { id: "u" } })],
  ["a sub of 256 characters", changed({ sub: "u".repeat(256) })],
  ["sub .system", changed({ sub: ".system" })],
  ["sub .anonymous", changed({ sub: ".anonymous" })],
  ["no iss", without("iss")],
  ["another iss", changed({ iss: "https://id.example/projects/q" })],
  ["iss with a slash more", changed({ iss: `${RULES.issuer}/` })],
  ["iss in capitals", changed({ iss: RULES.issuer.toUpperCase() })],
  ["a list of iss", changed({ iss: [RULES.issuer] })],
  ["no aud", without("aud")],
  ["another aud", changed({ aud: "q" })],
  ["aud that begins the same", changed({ aud: "pp" })],
  ["an empty aud", changed({ aud: "" })],
  ["no aud in the list", changed({ aud: [] })],
  ["another aud in the list", changed({ aud: ["q", "r"] })],
  ["aud with a number beside", changed({ aud: ["p", 1] })],
  ["aud with an empty name beside", changed({ aud: ["p", ""] })],
  ["aud a list in a list", changed({ aud: [["p"]] })],
  ["aud an object", changed({ aud: { 0: "p", length: 1 } })],
];

describe("a token is refused as invalid", () => {
  test.each(FORM)("in its form: %s", (_name, token) => {
    expect(reasonOf(() => check(token))).toBe("TOKEN_INVALID");
  });

  test.each(HEADERS)("in its header: %s", (_name, token) => {
    expect(reasonOf(() => check(token))).toBe("TOKEN_INVALID");
  });

  test.each(CLAIM_SETS)("in its claims: %s", (_name, token) => {
    expect(reasonOf(() => check(token))).toBe("TOKEN_INVALID");
  });
});

describe("a token is refused as expired", () => {
  test.each([
    ["at the very end of its life", { exp: NOW }],
    ["a moment after it", { exp: NOW - 0.001 }],
    ["long after it", { iat: NOW - 10 * DAY, exp: NOW - 9 * DAY }],
    ["with a negative end", { iat: undefined, exp: -1 }],
  ])("%s", (_name, change) => {
    expect(reasonOf(() => check(changed(change)))).toBe("TOKEN_EXPIRED");
  });
});

describe("a token passes", () => {
  const passed = {
    passed: { subject: "u", audience: ["p"], issuedAt: NOW_MS - 10_000, expiresAt: NOW_MS + 3_600_000 },
  };

  test("with the right form and claims", () => {
    expect(reasonOf(() => check(`${H}.${C}.${S}`))).toEqual(passed);
  });

  test.each([
    ["for several audiences", { aud: ["q", "p"] }],
    ["with fractions of seconds", { iat: NOW - 0.5, exp: NOW + 0.25 }],
    ["with iat and nbf a minute ahead", { iat: NOW + 60, nbf: NOW + 60 }],
    ["with the longest life", { iat: NOW, exp: NOW + DAY }],
    ["without iat", { iat: undefined }],
    ["with a sub of 255 characters", { sub: "u".repeat(255) }],
    ["nested 16 deep", { a: JSON.parse(nested(15)) as unknown }],
    ["with the same name in different objects", { a: { b: { a: 1 }, c: { a: 1 } }, sub: "u" }],
    ["with a name as a value", { a: ["a", "a", "sub"], b: "a" }],
    ["with a string full of structure", { a: '"}{[:,\\' }],
    ["with __proto__, inert", JSON.parse('{"__proto__": {"sub": ".system"}}') as object],
  ])("%s", (_name, change) => {
    expect(reasonOf(() => check(changed(change)))).toHaveProperty("passed");
  });

  test("of any type and audience where the caller asks for none, with header members it allows", () => {
    const { typ: _, ...header } = { ...HEADER, x5t: "thumb" };
    const parsed = parseJwt(withHeader(header), { otherHeaderMembers: ["x5t"] });
    const { audience: __, ...rules } = RULES;
    expect(checkClaims(parsed.claims, rules)).toMatchObject({ subject: "u" });
    expect(parsed).toMatchObject({ algorithm: "EdDSA", keyId: "k" });
  });
});
