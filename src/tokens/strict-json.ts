/** What JSON can say. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
export type JsonObject = { readonly [name: string]: JsonValue };

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;

/**
 * Parses the JSON text of an object and refuses what parsers disagree on: invalid UTF-8, a byte order mark, a member named
 * twice (RFC 8259 §4), strings with half a surrogate pair or NUL, numbers that are not finite, nesting over `maxDepth`.
 * Throws a SyntaxError.
 */
export function parseStrictJson(bytes: Uint8Array, maxDepth: number): JsonObject {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new SyntaxError("not UTF-8");
  }
  const value = parse(text);
  if (!isJsonObject(value)) throw new SyntaxError("not a JSON object");
  refuseDuplicates(text, maxDepth);
  refuseInexact(value);
  return value;
}

/** What the parser itself would say holds a part of the text. */
function parse(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    throw new SyntaxError("not JSON");
  }
}

/** Neither null nor an array. */
export const isJsonObject = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Runs after the depth is known to be small. */
function refuseInexact(value: JsonValue): void {
  if (typeof value === "number" && !Number.isFinite(value)) throw new SyntaxError("a number is out of range");
  if (typeof value === "string" && !isExact(value)) throw new SyntaxError("a string is not text");
  if (typeof value !== "object" || value === null) return;
  for (const [name, member] of Object.entries(value)) {
    if (!isExact(name)) throw new SyntaxError("a name is not text");
    refuseInexact(member);
  }
}

const isExact = (text: string): boolean => text.isWellFormed() && !text.includes("\0");

/** Walks a text that is known to be JSON, so it need only tell strings from structure. */
function refuseDuplicates(text: string, maxDepth: number): void {
  // The names seen so far in each open object; an array has none.
  const open: Set<string>[] = [];
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === "{" || character === "[") {
      if (open.push(new Set()) > maxDepth) throw new SyntaxError(`nested deeper than ${maxDepth}`);
    } else if (character === "}" || character === "]") open.pop();
    else if (character === '"') {
      const end = endOfString(text, at);
      if (isName(text, end)) {
        const name = JSON.parse(text.slice(at, end)) as string;
        const names = open.at(-1);
        if (names?.has(name)) throw new SyntaxError("a member is named twice");
        names?.add(name);
      }
      at = end - 1;
    }
  }
}

/** The place after the closing quote of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  for (let code = text.charCodeAt(at); code !== QUOTE; code = text.charCodeAt(at)) at += code === BACKSLASH ? 2 : 1;
  return at + 1;
}

/** Whether the string before `at` names a member: a colon follows. */
function isName(text: string, at: number): boolean {
  let next = at;
  while (text.charCodeAt(next) <= 0x20) next++;
  return text.charCodeAt(next) === COLON;
}
