import { type DescMessage, fromBinary, fromJsonString, type Message } from "@bufbuild/protobuf";
import { isFieldError } from "@bufbuild/protobuf/reflect";
import { invalid, MusterError } from "../errors.ts";
import { createValueCheck } from "./strict-decode-checks.ts";
import { checkJsonSize } from "./strict-decode-json.ts";
import { createWireCheck } from "./strict-decode-wire.ts";

export type Codec = "binary" | "json";

/**
 * Decodes a message of the given type; throws REQUEST_INVALID for bytes that are no such message and for values that no
 * message may hold: invalid UTF-8, NUL, lone surrogates, nesting beyond 100, numbers that are not finite, times and spans out
 * of range, a Struct beyond its limits, a key `__proto__`; MESSAGE_TOO_LARGE for too many elements. What binary and JSON do not
 * know is passed over, as protobuf asks.
 */
export type StrictDecode = (desc: DescMessage, codec: Codec, bytes: Uint8Array) => Message;

/**
 * The most elements of one message, at any depth: fields on the wire, values in JSON. A message is decoded in one go, which
 * nothing can interrupt, and its elements take longer than its bytes. Room for 1,000 users of 30 fields and 25 keys of
 * metadata, each of which is four fields on the wire.
 */
const MAX_ELEMENTS = { binary: 128_000, json: 64_000 } as const satisfies Record<Codec, number>;
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
      if (codec === "json") {
        checkJsonSize(bytes, MAX_ELEMENTS.json);
        return fromJsonString(desc, UTF8.decode(bytes), { ignoreUnknownFields: true });
      }
      checkWire(desc, bytes, MAX_ELEMENTS.binary);
      return fromBinary(desc, bytes, { readUnknownFields: false });
    } catch (error) {
      throw error instanceof MusterError ? error : notDecoded(error, codec);
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

/** The decoder's error about one field has that field; about what is no JSON at all, it says where that begins. */
function notDecoded(error: unknown, codec: Codec): MusterError {
  if (!(error instanceof Error)) return invalid("", "is not a message of this call");
  const cause: unknown = error.cause;
  const field = isFieldError(cause) ? cause.field().name : "";
  const said = (cause instanceof Error ? cause : error).message;
  const text = codec === "json" ? said.replace(/^cannot decode (?:message |field )?\S+ from JSON:? ?/, "") : said;
  return invalid(
    field,
    shown(codec === "json" ? `is not what it should be in JSON: ${text}` : `is not a message of this call: ${text}`),
  );
}
