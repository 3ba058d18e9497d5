import type { ConnectError } from "@connectrpc/connect";
import {
  contentTypeStreamJson,
  contentTypeStreamProto,
  createEndStreamSerialization,
  endStreamFlag,
} from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import { envelope, FRAMINGS, type Framing, type FramingOptions, gzipped } from "./fast-framing.ts";
import { type NodeHeaders, nodeHeaders } from "./node-headers.ts";

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
  const header = new Headers();
  header.set("content-type", contentType);
  if (gzip) header.set(encodingHeader, "gzip");
  const trailer = new Headers();
  if (protocol !== "connect") trailer.set("grpc-status", "0");
  return { header, trailer };
}

const COMPRESSED = 1;

/** What a message, or the end, becomes on the wire: compressed from `minBytes` on. */
export function streamFrame(flags: number, data: Uint8Array, minBytes: number): Uint8Array | Promise<Uint8Array> {
  if (data.length < minBytes) return envelope(flags, data);
  return gzipped(data).then((compressed) => envelope(flags | COMPRESSED, compressed));
}

/** How a stream ends. */
export interface StreamEnd {
  readonly chunk: Uint8Array | undefined;
  readonly trailers: NodeHeaders | undefined;
}

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
    return { chunk: await streamFrame(endStreamFlag, data, minBytes), trailers: undefined };
  }
  if (error) setTrailerStatus(trailer, error);
  if (protocol === "grpc") return { chunk: undefined, trailers: nodeHeaders(trailer) };
  return { chunk: await streamFrame(trailerFlag, trailerSerialize(trailer), minBytes), trailers: undefined };
}
