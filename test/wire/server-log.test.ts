import { randomUUID } from "node:crypto";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Health } from "../../src/gen/grpc/health/v1/health_pb.ts";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { testDatabaseAddress } from "../support/database.ts";
import { PROTOCOLS, startTestServer } from "../support/start-test-server.ts";

const address = await testDatabaseAddress();
const nobody = { ref: { ref: { case: "externalId" as const, value: "nobody" } } };

describe.each(PROTOCOLS)("%s:", (protocol) => {
  test("a call that fails has one line in the log, under the request id that its answer carries", async () => {
    const server = await startTestServer({ address });
    const project = await server.project();
    const requestId = randomUUID();
    const transport = server.transport(protocol, project.accessKey, { "x-request-id": requestId });
    const failed = await createClient(UserService, transport)
      .getUser(nobody)
      .catch((error: unknown) => ConnectError.from(error));
    expect(failed).toMatchObject({ code: Code.NotFound });
    expect((failed as ConnectError).metadata.get("x-request-id")).toBe(requestId);
    const lines = server.log.filter((line) => line.includes(requestId)).map((line) => JSON.parse(line) as object);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({
      request_id: requestId,
      rpc: "muster.v1.UserService/GetUser",
      caller: "system",
      project_id: project.id,
      address: "127.0.0.1",
      code: "not_found",
      reason: "USER_NOT_FOUND",
    });
  });

  test("a call without a request id is given one, and one that succeeds tells it too", async () => {
    const server = await startTestServer({ address });
    const project = await server.project();
    const ids: (string | null)[] = [];
    const users = server.client(UserService, project.accessKey, protocol);
    for (let call = 0; call < 2; call++)
      await users.upsertUser({ externalId: "ada" }, { onHeader: (header) => ids.push(header.get("x-request-id")) });
    expect(ids.every((id) => id)).toBe(true);
    expect(new Set(ids).size).toBe(2);
  });

  test("the health of an unknown service is NOT_FOUND, that of a known one is told to anyone", async () => {
    const server = await startTestServer({ address });
    const health = server.client(Health, undefined, protocol);
    await expect(health.check({ service: "muster.v1.NoService" })).rejects.toMatchObject({ code: Code.NotFound });
    expect((await health.check({ service: "muster.v1.UserService" })).status).toBe(1);
  });
});

test("no credential stands in the log, whatever its level, nor in the metrics", async () => {
  const server = await startTestServer({ address, config: { logLevel: "trace" } });
  const project = await server.project();
  const { token } = await project.signedInUser("ada");
  const wrongKey = `${project.accessKey.slice(0, -6)}AAAAAA`;
  const wrongToken = `${token.slice(0, -6)}AAAAAA`;
  const opaque = `mst_${"s".repeat(43)}`;
  const secrets = [server.config.operatorKey, project.accessKey, token, wrongKey, wrongToken, opaque];
  for (const secret of secrets)
    for (const headers of [
      { authorization: `Bearer ${secret}` },
      { authorization: `Basic ${secret}` },
      { "x-muster-token": secret },
      { cookie: `__Host-muster-session=${secret}`, origin: "https://elsewhere.example" },
      { "x-request-id": `${secret} not an id` },
    ] as Record<string, string>[]) {
      const options = { headers };
      for (const protocol of PROTOCOLS)
        await server
          .client(UserService, undefined, protocol)
          .getUser(nobody, options)
          .catch(() => {});
      await fetch(`${server.url}/muster.v1.UserService/GetUser?access_token=${secret}`, options);
      await fetch(`${server.url}/nowhere?token=${secret}`, options);
    }
  const tokens = server.client(TokenService, project.accessKey);
  for (const secret of secrets) await tokens.verifyToken({ token: secret });
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  const said = server.log.join("") + metrics;
  expect(server.log.length).toBeGreaterThan(secrets.length * 5);
  // The end of a credential is its secret part.
  for (const secret of secrets) expect(said).not.toContain(secret.slice(-24));
});

test("the metrics count each call with its code", async () => {
  const server = await startTestServer({ address });
  const project = await server.project();
  const users = server.client(UserService, project.accessKey);
  await users.upsertUser({ externalId: "ada" });
  await users.upsertUser({ externalId: "ada" });
  await users.getUser(nobody).catch(() => {});
  await server
    .client(UserService)
    .getUser(nobody)
    .catch(() => {});
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  const count = (method: string, code: string) =>
    `muster_rpc_duration_seconds_count{service="muster.v1.UserService",method="${method}",code="${code}"}`;
  expect(metrics).toContain(`${count("UpsertUser", "ok")} 2\n`);
  expect(metrics).toContain(`${count("GetUser", "not_found")} 1\n`);
  expect(metrics).toContain(`${count("GetUser", "unauthenticated")} 1\n`);
});
