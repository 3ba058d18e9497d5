import { invalid, MusterError } from "../errors.ts";

/** No object may have more members; the limits of a Struct are stricter. */
const MAX_MEMBERS = 1_000;
/** Objects and arrays in each other. */
const MAX_DEPTH = 100;

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/**
 * Throws MESSAGE_TOO_LARGE for JSON of more than `maxElements` values, or with an object of very many members, and
 * REQUEST_INVALID for nesting beyond 100, before it is parsed: values cost far more than their bytes tell, and large objects
 * still more. Says nothing of whether it is JSON.
 */
export function checkJsonSize(bytes: Uint8Array, maxElements: number): void {
  if (bytes.length <= MAX_MEMBERS) return;
  let left = maxElements;
  // Of each open object, how many more members it may have; an array may have any number.
  const open: number[] = [];
  let members = Number.POSITIVE_INFINITY;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) at = endOfString(bytes, at);
    else if (byte === COMMA) {
      if (--left < 0 || --members < 0) throw new MusterError("MESSAGE_TOO_LARGE");
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      if (--left < 0) throw new MusterError("MESSAGE_TOO_LARGE");
      if (open.push(members) > MAX_DEPTH) throw invalid("", `is nested more than ${MAX_DEPTH} deep`);
      members = byte === OPEN_BRACE ? MAX_MEMBERS : Number.POSITIVE_INFINITY;
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) members = open.pop() ?? Number.POSITIVE_INFINITY;
  }
}

/** Where the string that begins here ends. */
function endOfString(bytes: Uint8Array, start: number): number {
  let at = start + 1;
  for (; at < bytes.length && bytes[at] !== QUOTE; at++) if (bytes[at] === BACKSLASH) at++;
  return at;
}
