import { expect, test } from "vitest";
import { Health } from "../../src/gen/grpc/health/v1/health_pb.ts";
import { rulesOf } from "../../src/rpc/access.ts";
import { SERVICES } from "../../src/services.ts";

test("an RPC that does not declare who may call it stops the start", () => {
  expect(() => rulesOf([...SERVICES, Health])).toThrow(
    "grpc.health.v1.Health.Check does not declare who may call it: option (muster.v1.access)",
  );
});
