import type { DescMethod, Message } from "@bufbuild/protobuf";
import { type ContextValues, createContextKey, type Interceptor } from "@connectrpc/connect";
import {
  createAsyncIterable,
  encodeEnvelope,
  transformSplitEnvelope,
  type UniversalServerRequest,
} from "@connectrpc/connect/protocol";
import { invalid } from "../errors.ts";
import type { NodeRequest } from "./plain-http.ts";
import { unpack } from "./strict-decode-body.ts";
import { formatOf, limitTimeout, onlyEnvelope, type RequestFormat } from "./strict-decode-format.ts";
import type { MessageReader } from "./strict-decode-message.ts";
import { emptyQuery, messageOfQuery } from "./strict-decode-query.ts";
import { leaveUndecoded, UNDECODED } from "./undecoded.ts";

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

/**
 * A decoder; what it refuses, by REQUEST_INVALID or MESSAGE_TOO_LARGE, fails inside the interceptors.
 *
 * @param maxTimeoutMs The longest deadline, in milliseconds.
 */
export function createDecodeRequest(reader: MessageReader, maxTimeoutMs: number): DecodeRequest {
  const settle = (request: ArrivedRequest, format: RequestFormat | undefined, decode: () => Promise<Message>) =>
    note(request.contextValues, {
      limitTimeout: () => limitTimeout(request.header, format?.timeoutHeader ?? "connect-timeout-ms", maxTimeoutMs),
      decode,
    });

  return async (method, node, request) => {
    const { header, contextValues: values } = request;
    if (request.method === "GET") {
      const message = messageOfQuery(new URL(request.url), reader.maxBytes(method, "binary", values));
      if (!message || method.methodKind !== "unary") return request;
      await settle(request, undefined, async () => reader.decode(method.input, message.codec, await message.bytes()));
      return { ...request, url: emptyQuery(request.url, message.codec) };
    }
    const format = request.method === "POST" ? formatOf(method, header.get("content-type") ?? "") : undefined;
    if (!format) return request;
    const encoding = header.get(format.encodingHeader) ?? "identity";
    const known = encoding === "identity" || encoding === "gzip";
    if (known && (method.methodKind === "bidi_streaming" || method.methodKind === "client_streaming")) {
      const body = request.body as AsyncIterable<Uint8Array>;
      return { ...request, body: checkMessages(body, method, format, encoding, reader, values) };
    }
    const source = { stream: node, announced: node.headers["content-length"], encoding };
    await settle(request, format, () => reader.read(method, format, source, values));
    // The protocol handler would refuse it by itself, and say less.
    if (!known) header.delete(format.encodingHeader);
    return { ...request, body: emptyBody(header, format) };
  };
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
  reader: MessageReader,
  values: ContextValues,
): AsyncIterable<Uint8Array> {
  const maxBytes = reader.maxBytes(method, codec, values);
  for await (const { flags, data } of transformSplitEnvelope(maxBytes)(body)) {
    const whole = onlyEnvelope(encodeEnvelope(flags, data));
    if (whole.compressed && encoding !== "gzip") throw invalid("", "a message is compressed, but no header says how");
    const bytes = whole.compressed ? await unpack(whole.data, maxBytes) : whole.data;
    reader.decode(method.input, codec, bytes);
    yield encodeEnvelope(0, bytes);
  }
}
