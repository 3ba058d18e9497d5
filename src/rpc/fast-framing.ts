import { type JsonWriteOptions } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import { mergeNonProtocolHeaders } from "@connectrpc/connect/protocol";
import { codeToHttpStatus, errorToJsonBytes, trailerMux } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import { compressionGzip } from "@connectrpc/connect-node";
import { type HeaderList, headerList } from "./light-headers.ts";
import type { RequestFormat } from "./strict-decode-format.ts";

/** How a call is carried, there and back. */
export interface Framing extends RequestFormat {
  readonly protocol: "grpc" | "grpc-web" | "connect";
  /** Of the answer. */
  readonly contentType: string;
  /** The header by which the client says what compression it accepts. */
  readonly acceptHeader: string;
}

const ENVELOPED = {
  enveloped: true,
  encodingHeader: "grpc-encoding",
  acceptHeader: "grpc-accept-encoding",
  timeoutHeader: "grpc-timeout",
} as const;
const BARE = {
  enveloped: false,
  encodingHeader: "content-encoding",
  acceptHeader: "accept-encoding",
  timeoutHeader: "connect-timeout-ms",
} as const;

function enveloped(protocol: "grpc" | "grpc-web"): Record<"binary" | "json", Framing> {
  const base = { ...ENVELOPED, protocol };
  return {
    binary: { ...base, codec: "binary", contentType: `application/${protocol}+proto` },
    json: { ...base, codec: "json", contentType: `application/${protocol}+json` },
  };
}

const GRPC = enveloped("grpc");
const GRPC_WEB = enveloped("grpc-web");
/** Of the unary calls of Connect. */
export const CONNECT: Record<"binary" | "json", Framing> = {
  binary: { ...BARE, protocol: "connect", codec: "binary", contentType: "application/proto" },
  json: { ...BARE, protocol: "connect", codec: "json", contentType: "application/json" },
};

/** By content type, as clients write it; what is written otherwise is for the protocol handlers. */
export const FRAMINGS: ReadonlyMap<string, Framing> = new Map([
  ["application/grpc", GRPC.binary],
  ["application/grpc+proto", GRPC.binary],
  ["application/grpc+json", GRPC.json],
  ["application/grpc-web", GRPC_WEB.binary],
  ["application/grpc-web+proto", GRPC_WEB.binary],
  ["application/grpc-web+json", GRPC_WEB.json],
  ["application/proto", CONNECT.binary],
  ["application/json", CONNECT.json],
  ["application/json; charset=utf-8", CONNECT.json],
]);

/** What a call came to. */
export interface Outcome {
  readonly header: Headers;
  readonly trailer: Headers;
  /** The message, encoded; none: the call failed. */
  readonly message: Uint8Array | string | undefined;
  readonly error: ConnectError | undefined;
}

/** An answer, as it goes over HTTP. */
export interface Answer {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: Uint8Array | string;
  readonly trailers?: HeaderList;
}

export interface FramingOptions {
  /** What is this long, in bytes, is compressed where the client accepts gzip. */
  readonly compressMinBytes: number;
  /** For the details of errors. */
  readonly json: Partial<JsonWriteOptions>;
}

/** Frames what a call came to, as the protocol handlers of Connect do. `gzip`: the client takes it. */
export function frame(
  framing: Framing,
  outcome: Outcome,
  gzip: boolean,
  options: FramingOptions,
): Answer | Promise<Answer> {
  const minBytes = gzip ? options.compressMinBytes : Number.POSITIVE_INFINITY;
  if (framing.protocol === "connect") return frameConnect(outcome, minBytes, options);
  return framing.protocol === "grpc" ? frameGrpc(outcome, minBytes) : frameGrpcWeb(outcome, minBytes);
}

/** Whether the answer may be compressed: as the client accepts it or, if it does not say, as an enveloped request says it is itself. */
export function acceptsGzip({ enveloped }: Framing, accepted: string | null, encoding: string): boolean {
  if (!accepted) return enveloped && encoding === "gzip";
  return accepted === "gzip" || accepted.split(",").some((name) => name.trim() === "gzip");
}

const EMPTY = new Uint8Array();
const COMPRESSED = 1;

/** What is compressed off the event loop. */
export const gzipped = async (data: Uint8Array | string): Promise<Uint8Array> =>
  compressionGzip.compress(bytesOf(data) as Uint8Array<ArrayBuffer>);

const bytesOf = (data: Uint8Array | string): Uint8Array => (typeof data === "string" ? Buffer.from(data) : data);

function frameGrpc({ header, trailer, message, error }: Outcome, minBytes: number): Answer | Promise<Answer> {
  if (error) setTrailerStatus(trailer, error);
  const rest = { status: 200, headers: headerList(header), trailers: headerList(trailer) };
  if (message === undefined) return { ...rest, body: EMPTY };
  const data = bytesOf(message);
  if (data.length < minBytes) return { ...rest, body: envelope(0, data) };
  return gzipped(data).then((compressed) => ({ ...rest, body: envelope(COMPRESSED, compressed) }));
}

async function frameGrpcWeb({ header, trailer, message, error }: Outcome, minBytes: number): Promise<Answer> {
  if (error) setTrailerStatus(trailer, error);
  const wrap = async (flags: number, data: Uint8Array) =>
    data.length < minBytes ? envelope(flags, data) : envelope(flags | COMPRESSED, await gzipped(data));
  const end = await wrap(trailerFlag, trailerSerialize(trailer));
  const body = message === undefined ? end : Buffer.concat([await wrap(0, bytesOf(message)), end]);
  return { status: 200, headers: headerList(header), body };
}

function frameConnect(outcome: Outcome, minBytes: number, { json }: FramingOptions): Answer | Promise<Answer> {
  const { header, trailer, error } = outcome;
  if (error) {
    header.set("content-type", CONNECT.json.contentType);
    if (!error.isWireError) mergeNonProtocolHeaders(header, error.metadata);
  }
  const status = error ? codeToHttpStatus(error.code) : 200;
  const headers = headerList(isEmpty(trailer) ? header : trailerMux(header, trailer));
  const body = error ? errorToJsonBytes(error, json) : (outcome.message ?? EMPTY);
  if (Buffer.byteLength(body) < minBytes) return answer(status, headers, body);
  replace(headers, "content-encoding", "gzip");
  return gzipped(body).then((compressed) => answer(status, headers, compressed));
}

function answer(status: number, headers: HeaderList, body: Uint8Array | string): Answer {
  replace(headers, "content-length", String(Buffer.byteLength(body)));
  return { status, headers, body };
}

function replace(headers: HeaderList, name: string, value: string): void {
  const at = headers.indexOf(name);
  if (at < 0 || at % 2 === 1) headers.push(name, value);
  else headers[at + 1] = value;
}

const isEmpty = (headers: Headers): boolean => headerList(headers).length === 0;

/** A byte of flags, four of length, and the data. */
export function envelope(flags: number, data: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(5 + data.length);
  bytes[0] = flags;
  bytes.writeUInt32BE(data.length, 1);
  bytes.set(data, 5);
  return bytes;
}
