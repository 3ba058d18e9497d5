import type { DescMethod, Message } from "@bufbuild/protobuf";
import { type ContextValues, createContextKey, type Interceptor } from "@connectrpc/connect";
import {
  createAsyncIterable,
  encodeEnvelope,
  transformSplitEnvelope,
  type UniversalServerRequest,
} from "@connectrpc/connect/protocol";
import type { Clock } from "../clock.ts";
import { invalid } from "../errors.ts";
import { CALLER } from "./caller.ts";
import type { NodeRequest } from "./plain-http.ts";
import { createStrictDecode, type StrictDecode } from "./strict-decode.ts";
import { type BodyLimits, createReadBody, type ReadBody, unknownCompression, unpack } from "./strict-decode-body.ts";
import { formatOf, limitTimeout, onlyEnvelope, type RequestFormat } from "./strict-decode-format.ts";
import { type EncodedMessage, emptyQuery, messageOfQuery } from "./strict-decode-query.ts";
import { leaveUndecoded, UNDECODED } from "./undecoded.ts";

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

/** The message that was decoded in front of the protocol handler. */
const DECODED = createContextKey<Message | undefined>(undefined, { description: "decoded message" });

/** A request whose header has been read. */
export type ArrivedRequest = UniversalServerRequest & { readonly contextValues: ContextValues };

/** Puts the decoded message in place of the empty one that the protocol handler was given. */
export const takeDecoded: Interceptor = (next) => (request) => {
  const message = request.contextValues.get(DECODED);
  if (!message) return next(request);
  return next(
    (request.stream
      ? { ...request, message: createAsyncIterable([message]) }
      : { ...request, message }) as typeof request,
  );
};

/**
 * Decodes the message of a request strictly, and gives the request that the protocol handler gets: its message is an empty
 * one, and the context values hold what was decoded, or why it was not. The message of a call that was refused before is left
 * unread, and so is what the protocol itself refuses before it looks at the message (method, content type).
 */
export type DecodeRequest = (
  method: DescMethod,
  node: NodeRequest,
  request: ArrivedRequest,
) => Promise<UniversalServerRequest>;

/** A decoder by these limits; what it refuses, by REQUEST_INVALID or MESSAGE_TOO_LARGE, fails inside the interceptors. */
export function createDecodeRequest(limits: DecodeLimits, clock: Clock): DecodeRequest {
  const decode = createStrictDecode();
  const readBody = createReadBody(limits, clock);
  const settle = (
    method: DescMethod,
    request: ArrivedRequest,
    format: RequestFormat | undefined,
    message: EncodedMessage,
  ) =>
    note(request.contextValues, {
      limitTimeout: () =>
        limitTimeout(request.header, format?.timeoutHeader ?? "connect-timeout-ms", limits.maxTimeoutMs),
      decode: async () => decode(method.input, message.codec, await message.bytes()),
    });

  return async (method, node, request) => {
    if (request.method === "GET") {
      const message = messageOfQuery(new URL(request.url), maxBytesOf(limits, method, "binary", request));
      if (!message || method.methodKind !== "unary") return request;
      await settle(method, request, undefined, message);
      return { ...request, url: emptyQuery(request.url, message.codec) };
    }
    const format = request.method === "POST" ? formatOf(method, request.header.get("content-type") ?? "") : undefined;
    if (!format) return request;
    const maxBytes = maxBytesOf(limits, method, format.codec, request);
    const encoding = request.header.get(format.encodingHeader) ?? "identity";
    const known = encoding === "identity" || encoding === "gzip";
    if (known && (method.methodKind === "bidi_streaming" || method.methodKind === "client_streaming")) {
      const body = request.body as AsyncIterable<Uint8Array>;
      return { ...request, body: checkMessages(body, method, format, encoding, maxBytes, decode) };
    }
    const bytes = async () => {
      if (!known) throw unknownCompression();
      return messageOfBody(node, format, encoding, maxBytes, readBody);
    };
    await settle(method, request, format, { codec: format.codec, bytes });
    // The protocol handler would refuse it by itself, and say less.
    if (!known) request.header.delete(format.encodingHeader);
    return { ...request, body: emptyBody(request.header, format) };
  };
}

function maxBytesOf(
  limits: DecodeLimits,
  method: DescMethod,
  codec: keyof MessageLimit,
  { contextValues }: ArrivedRequest,
): number {
  const most = limits.longerMessages.get(method)?.[codec] ?? limits.readMaxBytes;
  return contextValues.get(CALLER).kind === "anonymous" ? Math.min(most, limits.anonymousMaxBytes) : most;
}

/** Keeps what was decoded, or why it was not, in the context values. What was refused before is not decoded. */
async function note(values: ContextValues, steps: { limitTimeout(): void; decode(): Promise<Message> }): Promise<void> {
  try {
    steps.limitTimeout();
    if (!values.get(UNDECODED)) values.set(DECODED, await steps.decode());
  } catch (error) {
    leaveUndecoded(values, error);
  }
}

async function messageOfBody(
  node: NodeRequest,
  format: RequestFormat,
  encoding: string,
  maxBytes: number,
  readBody: ReadBody,
): Promise<Uint8Array> {
  const body = await readBody(node, format.enveloped ? maxBytes + 5 : maxBytes);
  const { compressed, data } = format.enveloped ? onlyEnvelope(body) : { compressed: encoding === "gzip", data: body };
  if (!compressed) return data;
  if (encoding !== "gzip") throw invalid("", "a message is compressed, but no header says how");
  return unpack(data, maxBytes);
}

function emptyBody(header: Headers, { codec, enveloped, encodingHeader }: RequestFormat): AsyncIterable<Uint8Array> {
  const message = Buffer.from(codec === "json" ? "{}" : "");
  const body = enveloped ? encodeEnvelope(0, message) : message;
  // The answer to an enveloped request is compressed as the request is; the body's own header would be obeyed.
  if (!enveloped) header.delete(encodingHeader);
  header.set("content-length", String(body.length));
  return createAsyncIterable([body]);
}

/** Checks each message of a stream of them as it passes. What is wrong with one comes out of the handler's iteration. */
async function* checkMessages(
  body: AsyncIterable<Uint8Array>,
  method: DescMethod,
  { codec }: RequestFormat,
  encoding: string,
  maxBytes: number,
  decode: StrictDecode,
): AsyncIterable<Uint8Array> {
  for await (const { flags, data } of transformSplitEnvelope(maxBytes)(body)) {
    const whole = onlyEnvelope(encodeEnvelope(flags, data));
    if (whole.compressed && encoding !== "gzip") throw invalid("", "a message is compressed, but no header says how");
    const bytes = whole.compressed ? await unpack(whole.data, maxBytes) : whole.data;
    decode(method.input, codec, bytes);
    yield encodeEnvelope(0, bytes);
  }
}
