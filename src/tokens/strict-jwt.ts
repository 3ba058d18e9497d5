import { MusterError } from "../errors.ts";
import { type JsonObject, parseStrictJson } from "./strict-json.ts";

/** The longest token looked at, in characters. */
export const MAX_TOKEN_LENGTH = 16_384;
/** The deepest nesting of a header or of claims; the outermost object counts as 1. */
export const MAX_JSON_DEPTH = 16;
const MAX_KEY_ID_LENGTH = 255;
/** Characters of what somebody else wrote that a message repeats. */
const MAX_TOLD = 64;

/** What a header may hold besides `alg`, `kid` and `typ`, and what it must say. */
export interface JwtForm {
  /** The exact `typ`; without it any, or none, is taken. */
  readonly type?: string;
  /** Members of the header that are let pass unread. Never one that names or carries a key, or changes how the token is read. */
  readonly otherHeaderMembers?: readonly string[];
}

/** A JWT that has the right form. Nothing it says is proven yet. */
export interface ParsedJwt {
  readonly algorithm: string;
  readonly keyId: string | undefined;
  readonly claims: JsonObject;
}

const HEADER_MEMBERS = ["alg", "kid", "typ"];

/** A refusal; `why` goes to the log and to whoever explains a token, never to its bearer. */
export const refused = (why: string): MusterError => new MusterError("TOKEN_INVALID", { cause: new Error(why) });

/**
 * Reads a compact JWS (RFC 7515 §7.1) more strictly than JOSE libraries do, so that one signature has one spelling and every
 * reader sees the same claims (RFC 8725 §2, §3). Stands before any cryptography. TOKEN_INVALID.
 */
export function parseJwt(token: string, form: JwtForm): ParsedJwt {
  if (token.length > MAX_TOKEN_LENGTH) throw refused("longer than 16 KiB");
  if (!/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/.test(token)) throw refused("not three parts in base64url");
  const [header, claims, signature] = token.split(".") as [string, string, string];
  decode(signature, "signature");
  const members = parsePart(header, "header");
  checkHeader(members, form);
  const { alg, kid } = members;
  if (typeof alg !== "string" || alg === "") throw refused("header: alg is not a name");
  if (kid !== undefined && (typeof kid !== "string" || kid === "" || kid.length > MAX_KEY_ID_LENGTH))
    throw refused("header: kid is not a name");
  return { algorithm: alg, keyId: kid, claims: parsePart(claims, "claims") };
}

function checkHeader(members: JsonObject, { type, otherHeaderMembers = [] }: JwtForm): void {
  for (const name of Object.keys(members))
    if (!HEADER_MEMBERS.includes(name) && !otherHeaderMembers.includes(name))
      throw refused(`header: ${JSON.stringify(name.slice(0, MAX_TOLD))} is not allowed`);
  if (type === undefined ? members.typ !== undefined && typeof members.typ !== "string" : members.typ !== type)
    throw refused("header: typ is another one");
}

function parsePart(part: string, name: string): JsonObject {
  try {
    return parseStrictJson(decode(part, name), MAX_JSON_DEPTH);
  } catch (error) {
    if (error instanceof SyntaxError) throw refused(`${name}: ${error.message}`);
    throw error;
  }
}

/** Only the canonical spelling passes: no stray bits in the last character (RFC 4648 §3.5). */
function decode(part: string, name: string): Buffer {
  const bytes = Buffer.from(part, "base64url");
  if (bytes.toString("base64url") !== part) throw refused(`${name}: base64url is not canonical`);
  return bytes;
}
