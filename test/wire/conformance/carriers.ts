import { create, type DescMessage, type MessageInitShape, toBinary, toJsonString } from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { WatchPresenceRequestSchema } from "../../../src/gen/muster/v1/presence_service_pb.ts";
import { GetUserRequestSchema, UpsertUserRequestSchema } from "../../../src/gen/muster/v1/user_service_pb.ts";
import type { RawRequest } from "./raw-call.ts";
import { ACCESS_KEY } from "./twin-servers.ts";

/** A way to carry a call. */
export interface Carrier {
  readonly name: string;
  readonly http: "1.1" | "2";
  readonly codec: "binary" | "json";
  /** Of the request; a GET has none. */
  readonly contentType: string | undefined;
  /** Whether the message stands in an envelope. */
  readonly enveloped: boolean;
  /** Whether the call is answered with a stream. */
  readonly isStream: boolean;
}

const TYPES = {
  "application/grpc": "binary",
  "application/grpc+proto": "binary",
  "application/grpc+json": "json",
  "application/grpc-web": "binary",
  "application/grpc-web+proto": "binary",
  "application/grpc-web+json": "json",
  "application/proto": "binary",
  "application/json": "json",
  "application/json; charset=utf-8": "json",
} as const;

const STREAM_TYPES = {
  ...Object.fromEntries(Object.entries(TYPES).filter(([type]) => type.startsWith("application/grpc"))),
  "application/connect+proto": "binary",
  "application/connect+json": "json",
} as const;

export const CARRIERS: readonly Carrier[] = (["1.1", "2"] as const).flatMap((http) => [
  ...Object.entries(TYPES).map(([contentType, codec]) => {
    const enveloped = contentType.startsWith("application/grpc");
    return { name: `${contentType} over HTTP/${http}`, http, codec, contentType, enveloped, isStream: false };
  }),
  ...(["binary", "json"] as const).map((codec) => {
    const base = { http, codec, contentType: undefined, enveloped: false, isStream: false };
    return { name: `a GET of ${codec} over HTTP/${http}`, ...base };
  }),
]);

export const STREAM_CARRIERS: readonly Carrier[] = (["1.1", "2"] as const).flatMap((http) =>
  Object.entries(STREAM_TYPES).map(([contentType, codec]) => {
    const name = `a stream of ${contentType} over HTTP/${http}`;
    return { name, http, codec, contentType, enveloped: true, isStream: true };
  }),
);

export const GET_USER = "/muster.v1.UserService/GetUser";
export const UPSERT_USER = "/muster.v1.UserService/UpsertUser";
export const WATCH_PRESENCE = "/muster.v1.PresenceService/WatchPresence";

/** A request before it is put together. */
export interface Draft {
  readonly carrier: Carrier;
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The message, encoded. */
  readonly message: Uint8Array;
  /** The flags of its envelope. */
  readonly flags: number;
  /** What the body is instead of the message in its envelope. */
  readonly body?: Uint8Array;
  /** Of a GET. */
  readonly query: Readonly<Record<string, string>>;
  readonly ends?: boolean;
}

const BASE = { authorization: `Bearer ${ACCESS_KEY}`, "x-request-id": "r-1" };

/** What a call for the user of this external id says. */
function messageFor({ codec }: Carrier, externalId: string, path: string): Uint8Array {
  const write = <D extends DescMessage>(schema: D, content: MessageInitShape<D>) => {
    const message = create(schema, content);
    return codec === "json" ? Buffer.from(toJsonString(schema, message)) : toBinary(schema, message);
  };
  const ref = { ref: { case: "externalId", value: externalId } } as const;
  if (path === WATCH_PRESENCE) return write(WatchPresenceRequestSchema, { refs: [ref] });
  if (path === UPSERT_USER) return write(UpsertUserRequestSchema, { externalId });
  return write(GetUserRequestSchema, { ref });
}

/** A call for the user of this external id. */
export function draftOf(carrier: Carrier, externalId: string, named?: string): Draft {
  const { contentType } = carrier;
  const path = named ?? (carrier.isStream ? WATCH_PRESENCE : GET_USER);
  const message = messageFor(carrier, externalId, path);
  const te = contentType === "application/grpc" ? { te: "trailers" } : {};
  const headers = { ...BASE, ...(contentType && { "content-type": contentType }), ...te };
  return { carrier, path, method: contentType ? "POST" : "GET", headers, message, flags: 0, query: {} };
}

const HEADERS = {
  grpc: { timeout: "grpc-timeout", encoding: "grpc-encoding", accept: "grpc-accept-encoding" },
  connect: { timeout: "connect-timeout-ms", encoding: "content-encoding", accept: "accept-encoding" },
  stream: {
    timeout: "connect-timeout-ms",
    encoding: "connect-content-encoding",
    accept: "connect-accept-encoding",
  },
} as const;

export const isGrpc = ({ contentType }: Carrier): boolean => contentType?.startsWith("application/grpc") ?? false;

/** The header by which this carrier says it. */
export const headerFor = (carrier: Carrier, what: "timeout" | "encoding" | "accept"): string =>
  HEADERS[isGrpc(carrier) ? "grpc" : carrier.isStream ? "stream" : "connect"][what];

export function requestOf({ carrier, path, method, headers, message, flags, body, query, ends }: Draft): RawRequest {
  const base = { http: carrier.http, method, headers: Object.entries(headers), ...(ends !== undefined && { ends }) };
  if (method !== "POST" && !carrier.contentType) {
    const encoding = carrier.codec === "json" ? "json" : "proto";
    const text = Buffer.from(message).toString("base64url");
    return { ...base, path: `${path}?${new URLSearchParams({ encoding, base64: "1", message: text, ...query })}` };
  }
  return { ...base, path, body: body ?? (carrier.enveloped ? encodeEnvelope(flags, message) : message) };
}
