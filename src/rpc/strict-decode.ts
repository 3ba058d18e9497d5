import { type DescMessage, fromBinary, fromJsonString, type Message } from "@bufbuild/protobuf";
import { invalid, MusterError } from "../errors.ts";
import { createValueCheck } from "./strict-decode-checks.ts";
import { createWireCheck } from "./strict-decode-wire.ts";

export type Codec = "binary" | "json";

/**
 * Decodes a message of the given type; throws REQUEST_INVALID for bytes that are no such message and for values that no
 * message may hold: invalid UTF-8, NUL, lone surrogates, nesting beyond 100, numbers that are not finite, times and spans out
 * of range, a Struct beyond its limits, a key `__proto__`. What binary and JSON do not know is passed over, as protobuf asks.
 */
export type StrictDecode = (desc: DescMessage, codec: Codec, bytes: Uint8Array) => Message;

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** Beyond these, more would tell nobody anything. */
const MAX_VIOLATIONS = 20;
const MAX_TEXT = 300;

/** A decoder of its own; it learns each message type once. */
export function createStrictDecode(): StrictDecode {
  const checkWire = createWireCheck();
  const checkValues = createValueCheck();

  function decode(desc: DescMessage, codec: Codec, bytes: Uint8Array): Message {
    try {
      if (codec === "json") return fromJsonString(desc, UTF8.decode(bytes), { ignoreUnknownFields: true });
      checkWire(desc, bytes);
      return fromBinary(desc, bytes, { readUnknownFields: false });
    } catch (error) {
      throw invalid("", `not a ${desc.typeName}: ${messageOf(error)}`);
    }
  }

  return (desc, codec, bytes) => {
    const message = decode(desc, codec, bytes);
    const violations = checkValues(desc, message, bytes.length);
    if (violations.length === 0) return message;
    throw new MusterError("REQUEST_INVALID", {
      violations: violations
        .slice(0, MAX_VIOLATIONS)
        .map(({ field, description }) => ({ field: shown(field), description })),
    });
  };
}

/** A path holds the caller's own keys, which may be long or no text at all. */
const shown = (text: string) => text.slice(0, MAX_TEXT).toWellFormed().replaceAll("\0", "\u{FFFD}");

const messageOf = (error: unknown) => shown(error instanceof Error ? error.message : String(error));
