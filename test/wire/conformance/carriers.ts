import { create, toBinary, toJsonString } from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { GetUserRequestSchema, UpsertUserRequestSchema } from "../../../src/gen/muster/v1/user_service_pb.ts";
import type { RawRequest } from "./raw-call.ts";
import { ACCESS_KEY } from "./twin-servers.ts";

/** A way to carry a unary call. */
export interface Carrier {
  readonly name: string;
  readonly http: "1.1" | "2";
  readonly codec: "binary" | "json";
  /** Of the request; a GET has none. */
  readonly contentType: string | undefined;
  /** Whether the message stands in an envelope. */
  readonly enveloped: boolean;
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

export const CARRIERS: readonly Carrier[] = (["1.1", "2"] as const).flatMap((http) => [
  ...Object.entries(TYPES).map(([contentType, codec]) => {
    const enveloped = contentType.startsWith("application/grpc");
    return { name: `${contentType} over HTTP/${http}`, http, codec, contentType, enveloped };
  }),
  ...(["binary", "json"] as const).map((codec) => {
    return { name: `a GET of ${codec} over HTTP/${http}`, http, codec, contentType: undefined, enveloped: false };
  }),
]);

export const GET_USER = "/muster.v1.UserService/GetUser";
export const UPSERT_USER = "/muster.v1.UserService/UpsertUser";

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

/** A call for the user of this external id. */
export function draftOf(carrier: Carrier, externalId: string, path = GET_USER): Draft {
  const { codec, contentType } = carrier;
  const schema = path === GET_USER ? GetUserRequestSchema : UpsertUserRequestSchema;
  const content = path === GET_USER ? { ref: { ref: { case: "externalId", value: externalId } } } : { externalId };
  const request = create(schema as typeof GetUserRequestSchema, content as never);
  const message = codec === "json" ? Buffer.from(toJsonString(schema, request)) : toBinary(schema, request);
  const te = contentType === "application/grpc" ? { te: "trailers" } : {};
  const headers = { ...BASE, ...(contentType && { "content-type": contentType }), ...te };
  return { carrier, path, method: contentType ? "POST" : "GET", headers, message, flags: 0, query: {} };
}

/** The header by which this carrier says it. */
export function headerFor({ enveloped }: Carrier, what: "timeout" | "encoding" | "accept"): string {
  const names = enveloped
    ? { timeout: "grpc-timeout", encoding: "grpc-encoding", accept: "grpc-accept-encoding" }
    : { timeout: "connect-timeout-ms", encoding: "content-encoding", accept: "accept-encoding" };
  return names[what];
}

export function requestOf({ carrier, path, method, headers, message, flags, body, query, ends }: Draft): RawRequest {
  const base = { http: carrier.http, method, headers: Object.entries(headers), ...(ends !== undefined && { ends }) };
  if (method !== "POST" && !carrier.contentType) {
    const encoding = carrier.codec === "json" ? "json" : "proto";
    const text = Buffer.from(message).toString("base64url");
    return { ...base, path: `${path}?${new URLSearchParams({ encoding, base64: "1", message: text, ...query })}` };
  }
  return { ...base, path, body: body ?? (carrier.enveloped ? encodeEnvelope(flags, message) : message) };
}
