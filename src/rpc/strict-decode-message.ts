import type { Readable } from "node:stream";
import type { DescMethod, Message } from "@bufbuild/protobuf";
import type { ContextValues } from "@connectrpc/connect";
import type { Clock } from "../clock.ts";
import { invalid } from "../errors.ts";
import { CALLER } from "./caller.ts";
import type { Settled } from "./settle.ts";
import { type Codec, createStrictDecode, type StrictDecode } from "./strict-decode.ts";
import {
  type ArrivingBody,
  type BodyLimits,
  type BodyTaker,
  createTakeBody,
  readBody,
  unknownCompression,
  unpack,
} from "./strict-decode-body.ts";
import { onlyEnvelope, type RequestFormat } from "./strict-decode-format.ts";

/** How long a message may be, in bytes, by how it is written: JSON holds bytes as base64, which is a third longer. */
export interface MessageLimit {
  readonly binary: number;
  readonly json: number;
}

export interface DecodeLimits extends BodyLimits {
  /** The longest message, in bytes, before and after decompression. */
  readonly readMaxBytes: number;
  /** The same for callers without a credential. */
  readonly anonymousMaxBytes: number;
  /** The RPCs that take longer messages. */
  readonly longerMessages: ReadonlyMap<DescMethod, MessageLimit>;
  /** The longest deadline, in milliseconds, below 10⁸. */
  readonly maxTimeoutMs: number;
}

/** Where a message comes from. */
export interface MessageSource {
  readonly stream: Readable;
  /** What `content-length` says. */
  readonly announced: string | undefined;
  /** The compression that the format's header names, `identity` for none. */
  readonly encoding: string;
}

/** Reads the one message of a request, strictly. */
export interface MessageReader {
  readonly decode: StrictDecode;
  /** The longest message that the caller may send, in bytes. */
  maxBytes(method: DescMethod, codec: Codec, values: ContextValues): number;
  /**
   * Takes the body that the message is in. Throws UNIMPLEMENTED for another compression than gzip; MESSAGE_TOO_LARGE, RATE_LIMITED,
   * DEADLINE_EXCEEDED, CANCELLED are for the taker.
   */
  take(
    method: DescMethod,
    format: RequestFormat,
    source: MessageSource,
    values: ContextValues,
    taker: BodyTaker,
  ): ArrivingBody | undefined;
  /** The message in a body, at once unless it is compressed. REQUEST_INVALID, MESSAGE_TOO_LARGE. */
  message(
    method: DescMethod,
    format: RequestFormat,
    encoding: string,
    body: Uint8Array,
    values: ContextValues,
  ): Settled<Message>;
  /** Both. */
  read(method: DescMethod, format: RequestFormat, source: MessageSource, values: ContextValues): Promise<Message>;
}

/** A reader by these limits; all that it reads share the bound of bytes that are arriving. */
export function createMessageReader(limits: DecodeLimits, clock: Clock): MessageReader {
  const decode = createStrictDecode();
  const takeBody = createTakeBody(limits, clock);
  const maxBytes: MessageReader["maxBytes"] = (method, codec, values) => {
    const most = limits.longerMessages.get(method)?.[codec] ?? limits.readMaxBytes;
    return values.get(CALLER).kind === "anonymous" ? Math.min(most, limits.anonymousMaxBytes) : most;
  };
  const maxBody = (method: DescMethod, { codec, enveloped }: RequestFormat, values: ContextValues) =>
    maxBytes(method, codec, values) + (enveloped ? ENVELOPE_BYTES : 0);
  const message: MessageReader["message"] = (method, { codec, enveloped }, encoding, body, values) => {
    const { compressed, data } = enveloped ? onlyEnvelope(body) : { compressed: encoding === "gzip", data: body };
    if (!compressed) return decode(method.input, codec, data);
    if (encoding !== "gzip") throw invalid("", "a message is compressed, but no header says how");
    return unpack(data, maxBytes(method, codec, values)).then((bytes) => decode(method.input, codec, bytes));
  };
  return {
    decode,
    maxBytes,
    take(method, format, { stream, announced, encoding }, values, taker) {
      requireKnown(encoding);
      return takeBody(stream, announced, maxBody(method, format, values), taker);
    },
    message,
    async read(method, format, { stream, announced, encoding }, values) {
      requireKnown(encoding);
      const body = await readBody(takeBody, stream, announced, maxBody(method, format, values));
      return message(method, format, encoding, body, values);
    },
  };
}

const ENVELOPE_BYTES = 5;

function requireKnown(encoding: string): void {
  if (encoding !== "identity" && encoding !== "gzip") throw unknownCompression();
}
