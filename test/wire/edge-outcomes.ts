import { fromBinary } from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { BadRequestSchema, ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.ts";
import type { RawAnswer } from "./edge-server.ts";

/** What a call came to, whatever its protocol. */
export interface Outcome {
  readonly code: string;
  readonly reason: string | undefined;
  readonly violations: number;
}

/** The codes by their gRPC number. */
const CODES = [
  "ok",
  "canceled",
  "unknown",
  "invalid_argument",
  "deadline_exceeded",
  "not_found",
  "",
  "",
  "resource_exhausted",
  "",
  "",
  "",
  "unimplemented",
  "internal",
  "unavailable",
];

export function grpcOutcome(trailers: Record<string, string>): Outcome {
  const status = fromBinary(StatusSchema, Buffer.from(trailers["grpc-status-details-bin"] ?? "", "base64"));
  const infos = status.details.filter(({ typeUrl }) => typeUrl.endsWith(ErrorInfoSchema.typeName));
  const requests = status.details.filter(({ typeUrl }) => typeUrl.endsWith(BadRequestSchema.typeName));
  const violations = requests.flatMap(({ value }) => fromBinary(BadRequestSchema, value).fieldViolations);
  const reason = infos[0] && fromBinary(ErrorInfoSchema, infos[0].value).reason;
  return { code: CODES[Number(trailers["grpc-status"])] ?? "none", reason, violations: violations.length };
}

export function connectOutcome(
  error: { code?: string; details?: { type: string; debug?: unknown; value: string }[] } | undefined,
): Outcome {
  const detail = (type: string) => error?.details?.find((each) => each.type === type)?.value;
  const info = detail(ErrorInfoSchema.typeName);
  const bad = detail(BadRequestSchema.typeName);
  return {
    code: error?.code ?? "ok",
    reason: info === undefined ? undefined : fromBinary(ErrorInfoSchema, Buffer.from(info, "base64")).reason,
    violations: bad === undefined ? 0 : fromBinary(BadRequestSchema, Buffer.from(bad, "base64")).fieldViolations.length,
  };
}

/** The last envelope of a body, which ends a stream. */
export function lastEnvelope(body: Buffer): Buffer {
  let last: Buffer = Buffer.alloc(0);
  for (let at = 0; at + 5 <= body.length; at += 5 + body.readUInt32BE(at + 1)) last = body.subarray(at + 5);
  return last;
}

export function grpcWebOutcome({ body }: RawAnswer): Outcome {
  const lines = String(lastEnvelope(body))
    .split("\r\n")
    .map((line) => line.split(/: ?/, 2) as [string, string]);
  return grpcOutcome(Object.fromEntries(lines));
}

export async function overHttp1(
  url: string,
  path: string,
  headers: Record<string, string>,
  body?: Uint8Array,
): Promise<RawAnswer> {
  const answer = await fetch(url + path, body ? { method: "POST", headers, body: Buffer.from(body) } : { headers });
  return { status: answer.status, headers: {}, trailers: {}, body: Buffer.from(await answer.arrayBuffer()) };
}

export const type = (value: string) => ({ "content-type": value });
export const enveloped = (message: Uint8Array) => encodeEnvelope(0, message);
