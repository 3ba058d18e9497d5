import type { Message } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import {
  contentTypeStreamJson,
  contentTypeStreamProto,
  createEndStreamSerialization,
  endStreamFlag,
} from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import type { Callee } from "./fast-call.ts";
import { envelope, FRAMINGS, type Framing, type FramingOptions, gzipped } from "./fast-framing.ts";
import { ENVELOPE_HEAD, type WriteMessage } from "./kept-bytes.ts";
import { AnswerHeaders, type HeaderList, headerList } from "./light-headers.ts";

const CONNECT_STREAM = {
  protocol: "connect",
  enveloped: true,
  encodingHeader: "connect-content-encoding",
  acceptHeader: "connect-accept-encoding",
  timeoutHeader: "connect-timeout-ms",
} as const;

/** Of the calls that are answered with a stream; as `FRAMINGS`. */
export const STREAM_FRAMINGS: ReadonlyMap<string, Framing> = new Map<string, Framing>([
  ...[...FRAMINGS].filter(([, { enveloped }]) => enveloped),
  [contentTypeStreamProto, { ...CONNECT_STREAM, codec: "binary", contentType: contentTypeStreamProto }],
  [contentTypeStreamJson, { ...CONNECT_STREAM, codec: "json", contentType: contentTypeStreamJson }],
]);

/** What a stream begins with, for the service to add to. `gzip`: its messages may be compressed. */
export function streamHeaders(
  { protocol, contentType, encodingHeader }: Framing,
  gzip: boolean,
): { header: Headers; trailer: Headers } {
  const header = new AnswerHeaders(["content-type", contentType]);
  if (gzip) header.set(encodingHeader, "gzip");
  return { header, trailer: new AnswerHeaders(protocol === "connect" ? [] : ["grpc-status", "0"]) };
}

const COMPRESSED = 1;

/** What a message, or the end, becomes on the wire: compressed from `minBytes` on. */
export function streamFrame(flags: number, data: Uint8Array, minBytes: number): Uint8Array | Promise<Uint8Array> {
  if (data.length < minBytes) return envelope(flags, data);
  return gzipped(data).then((compressed) => envelope(flags | COMPRESSED, compressed));
}

/** Makes the frames of a stream's messages. */
export type Frames = (message: Message) => Uint8Array | Promise<Uint8Array>;

/** The frames of a codec, where a message of `minBytes` is compressed and one beyond `maxBytes` is refused. */
export function createFrames(
  { serialization, writeShared, keptJson }: Pick<Callee, "serialization" | "writeShared" | "keptJson">,
  codec: Framing["codec"],
  minBytes: number,
  maxBytes: number,
): Frames {
  const { serialize } = serialization.getO(codec === "binary");
  const plain: Frames = (message) => streamFrame(0, serialize(message), minBytes);
  if (codec === "json" && keptJson) return (message) => streamFrame(0, keep(keptJson, message, serialize), minBytes);
  if (codec !== "binary" || !writeShared) return plain;
  return (message) => {
    const bytes = attempt(writeShared, message);
    // The library says in its own words what is wrong.
    if (!bytes || bytes.length - ENVELOPE_HEAD > maxBytes) return plain(message);
    const length = bytes.length - ENVELOPE_HEAD;
    if (length >= minBytes) return streamFrame(0, bytes.subarray(ENVELOPE_HEAD), minBytes);
    bytes[0] = 0;
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(1, length);
    return bytes;
  };
}

/** The bytes of a message that may be said by many streams. What has been written may not change, and is frozen. */
function keep(
  kept: WeakMap<Message, Uint8Array>,
  message: Message,
  serialize: (message: Message) => Uint8Array,
): Uint8Array {
  let bytes = kept.get(message);
  if (!bytes) {
    bytes = serialize(message);
    kept.set(Object.freeze(message), bytes);
  }
  return bytes;
}

function attempt(write: WriteMessage, message: Message): Uint8Array | undefined {
  try {
    return write(message);
  } catch {
    return undefined;
  }
}

/** How a stream ends. */
export interface StreamEnd {
  readonly chunk: Uint8Array | undefined;
  readonly trailers: HeaderList;
}

const NONE: HeaderList = [];

/** Says how a call ended, as the protocol handlers of Connect do: in trailers, or in a last frame. */
export async function streamEnd(
  { protocol }: Framing,
  trailer: Headers,
  error: ConnectError | undefined,
  minBytes: number,
  { json }: FramingOptions,
): Promise<StreamEnd> {
  if (protocol === "connect") {
    const { serialize } = createEndStreamSerialization(json);
    const data = serialize({ metadata: trailer, ...(error && { error }) });
    return { chunk: await streamFrame(endStreamFlag, data, minBytes), trailers: NONE };
  }
  if (error) setTrailerStatus(trailer, error);
  if (protocol === "grpc") return { chunk: undefined, trailers: headerList(trailer) };
  return { chunk: await streamFrame(trailerFlag, trailerSerialize(trailer), minBytes), trailers: NONE };
}
