import type { DescMethod } from "@bufbuild/protobuf";
import { invalid } from "../errors.ts";
import type { Codec } from "./strict-decode.ts";

/** How a request carries its message. */
export interface RequestFormat {
  readonly codec: Codec;
  /** Whether messages stand in envelopes: a byte of flags and four of length. */
  readonly enveloped: boolean;
  /** The header that names the compression. */
  readonly encodingHeader: string;
  /** The header that holds the deadline. */
  readonly timeoutHeader: "grpc-timeout" | "connect-timeout-ms";
}

const JSON_TYPE = "json(?:; ?charset=utf-?8)?";
const GRPC = new RegExp(`^application/grpc(?:-web)?(?:\\+(proto|${JSON_TYPE}))?$`, "i");
const CONNECT_STREAM = new RegExp(`^application/connect\\+(proto|${JSON_TYPE})$`, "i");
const CONNECT_UNARY = new RegExp(`^application/(proto|${JSON_TYPE})$`, "i");

/** The format of a POST; undefined for a content type that the RPC is not served in. */
export function formatOf(method: DescMethod, contentType: string): RequestFormat | undefined {
  const grpc = GRPC.exec(contentType);
  if (grpc)
    return { codec: codecOf(grpc[1]), enveloped: true, encodingHeader: "grpc-encoding", timeoutHeader: "grpc-timeout" };
  const unary = method.methodKind === "unary";
  const connect = (unary ? CONNECT_UNARY : CONNECT_STREAM).exec(contentType);
  if (!connect) return undefined;
  const encodingHeader = unary ? "content-encoding" : "connect-content-encoding";
  return { codec: codecOf(connect[1]), enveloped: !unary, encodingHeader, timeoutHeader: "connect-timeout-ms" };
}

const codecOf = (subtype: string | undefined): Codec => (subtype?.toLowerCase().startsWith("json") ? "json" : "binary");

/** A message in its envelope. */
export interface Envelope {
  readonly compressed: boolean;
  readonly data: Uint8Array;
}

const COMPRESSED = 0x01;
/** Connect's end of stream, and gRPC-Web's trailers: from a client they say nothing. */
const CLOSING = 0x02 | 0x80;

/** The flags and the length. */
const HEAD = 5;

/** Whether it is one envelope with a message. */
function isWhole(body: Uint8Array): boolean {
  const [flags = CLOSING, a = 0, b = 0, c = 0, d = 0] = [body[0], body[1], body[2], body[3], body[4]];
  return (flags & ~COMPRESSED) === 0 && body.length === HEAD + a * 0x1000000 + ((b << 16) | (c << 8) | d);
}

/** The one message of an enveloped body. REQUEST_INVALID if there is another number of them, or a broken one. */
export function onlyEnvelope(body: Uint8Array): Envelope {
  // As nearly all are.
  if (isWhole(body)) return { compressed: body[0] === COMPRESSED, data: body.subarray(HEAD) };
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  let found: Envelope | undefined;
  for (let at = 0; at < body.length; ) {
    const start = at + 5;
    if (start > body.length) throw invalid("", "the body ends within an envelope");
    const flags = view.getUint8(at);
    at = start + view.getUint32(at + 1);
    if (at > body.length) throw invalid("", "the body ends within an envelope");
    if (flags & CLOSING) continue;
    if (flags & ~COMPRESSED) throw invalid("", "an envelope has unknown flags");
    if (found) throw invalid("", "the call takes one message");
    found = { compressed: (flags & COMPRESSED) !== 0, data: body.subarray(start, at) };
  }
  if (!found) throw invalid("", "the call takes one message");
  return found;
}

const UNIT_MS = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 0.001, n: 0.000_001 };

/**
 * The deadline that a header asks for, in milliseconds, at most `maxMs`, since a timer cannot hold more than 2³¹−1 ms. REQUEST_INVALID for
 * one that is not of the protocol's form.
 */
export function timeoutOf(
  value: string | null,
  name: RequestFormat["timeoutHeader"],
  maxMs: number,
): number | undefined {
  if (value === null) return undefined;
  const match = (name === "grpc-timeout" ? /^(\d{1,8})([HMSmun])$/ : /^(\d{1,10})$/).exec(value);
  if (!match) throw invalid("", `the header ${name} is not of the protocol's form`);
  return Math.min(maxMs, Number(match[1]) * UNIT_MS[(match[2] ?? "m") as keyof typeof UNIT_MS]);
}

/** Makes the deadline header sound: one beyond `maxMs` is brought down to it. REQUEST_INVALID, with the header removed, as `timeoutOf`. */
export function limitTimeout(header: Headers, name: RequestFormat["timeoutHeader"], maxMs: number): void {
  const value = header.get(name);
  if (value === null) return;
  try {
    const ms = timeoutOf(value, name, maxMs);
    if (ms === maxMs) header.set(name, name === "grpc-timeout" ? `${maxMs}m` : String(maxMs));
  } catch (error) {
    header.delete(name);
    throw error;
  }
}
