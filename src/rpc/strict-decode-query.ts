import { invalid } from "../errors.ts";
import type { Codec } from "./strict-decode.ts";
import { unknownCompression, unpack } from "./strict-decode-body.ts";

/** A message that is yet to be read and decoded. */
export interface EncodedMessage {
  readonly codec: Codec;
  readonly bytes: () => Promise<Uint8Array>;
}

/** The message of a Connect GET; undefined where the protocol handler refuses the request by itself. */
export function messageOfQuery(url: URL, maxBytes: number): EncodedMessage | undefined {
  const encoding = url.searchParams.get("encoding");
  const compression = url.searchParams.get("compression") ?? "identity";
  if (encoding !== "proto" && encoding !== "json") return undefined;
  const bytes = async () => {
    if (compression !== "identity" && compression !== "gzip") throw unknownCompression();
    const text = url.searchParams.get("message") ?? "";
    if (url.searchParams.get("base64") !== "1" && !isDecodable(url.search))
      throw invalid("", "the query is not valid UTF-8");
    const message = url.searchParams.get("base64") === "1" ? fromBase64(text) : Buffer.from(text);
    return compression === "gzip" ? unpack(message, maxBytes) : message;
  };
  return { codec: encoding === "json" ? "json" : "binary", bytes };
}

function isDecodable(query: string): boolean {
  try {
    return decodeURIComponent(query) !== undefined;
  } catch {
    return false;
  }
}

/** Either alphabet, with or without padding. A `+` stands for a space in a query. */
function fromBase64(text: string): Uint8Array {
  const plain = text.replaceAll(" ", "+");
  const digits = plain.replace(/=+$/, "");
  if (!/^[A-Za-z0-9+/_-]*$/.test(digits) || digits.length % 4 === 1) throw invalid("", "the message is not base64");
  return Buffer.from(digits, "base64");
}

/** The address of the same call with an empty message. */
export function emptyQuery(address: string, codec: Codec): string {
  const url = new URL(address);
  url.search = codec === "json" ? "encoding=json&message=%7B%7D" : "encoding=proto&message=";
  return url.toString();
}
