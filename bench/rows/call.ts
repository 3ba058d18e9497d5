import { create, fromBinary, fromJsonString, toBinary, toJson, toJsonString } from "@bufbuild/protobuf";
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
} from "../../src/gen/grpc/health/v1/health_pb.ts";
import type { Call, CallCase, CallRow, Protocol } from "../harness/row.ts";

const REQUEST = create(HealthCheckRequestSchema);
const ANSWER = create(HealthCheckResponseSchema, { status: HealthCheckResponse_ServingStatus.SERVING });

function check(protocol: Protocol): Call {
  const binary = protocol === "grpc";
  const body = binary ? toBinary(HealthCheckRequestSchema, REQUEST) : Buffer.from("{}");
  return {
    ...{ protocol, path: "/grpc.health.v1.Health/Check", headers: {} },
    body: () => body,
    read: (answer) =>
      binary
        ? toJson(HealthCheckResponseSchema, fromBinary(HealthCheckResponseSchema, answer))
        : JSON.parse(Buffer.from(answer).toString()),
  };
}

const binaryFloor = () => (message: Uint8Array) => {
  fromBinary(HealthCheckRequestSchema, message);
  return toBinary(HealthCheckResponseSchema, ANSWER);
};

const jsonFloor = () => (message: Uint8Array) => {
  fromJsonString(HealthCheckRequestSchema, Buffer.from(message).toString());
  return Buffer.from(toJsonString(HealthCheckResponseSchema, ANSWER));
};

const caseOf = (name: string, protocol: Protocol, concurrency: number[]): CallCase<undefined> => ({
  name,
  concurrency,
  call: () => check(protocol),
  floor: protocol === "grpc" ? binaryFloor : jsonFloor,
  target: { ratioAtMost: 1.3 },
});

export const row: CallRow<undefined> = {
  about: "The cheapest call, a health check",
  floor: "a hand-written handler",
  setUp: async () => undefined,
  cases: [
    caseOf("gRPC", "grpc", [1, 32, 128]),
    caseOf("JSON HTTP/2", "connect-json-h2", [32]),
    caseOf("JSON HTTP/1.1", "connect-json-h1", [1, 32]),
  ],
};
