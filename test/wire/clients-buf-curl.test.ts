import { fromBinary } from "@bufbuild/protobuf";
import { afterAll, describe, expect, test } from "vitest";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { run } from "../clients/support/run.ts";
import { startServerProcess } from "../clients/support/server.ts";

const server = await startServerProcess();
afterAll(() => server[Symbol.asyncDispose]());

/** Calls an RPC by `buf curl`, which learns the contract from the server's reflection alone. */
async function bufCurl(protocol: string, rpc: string, message: object, credential = server.accessKey) {
  const args = ["curl", "--protocol", protocol, "--http2-prior-knowledge", "-H", `authorization: Bearer ${credential}`];
  const ran = await run("node_modules/.bin/buf", [
    ...args,
    "-d",
    JSON.stringify(message),
    `${server.url}/muster.v1.${rpc}`,
  ]);
  return { ...ran, answer: ran.code === 0 ? (JSON.parse(ran.stdout) as object) : undefined };
}

describe.each(["grpc", "grpcweb", "connect"])("buf curl by %s", (protocol) => {
  const externalId = `user-${protocol}`;

  test("upserts a user and gets it back", async () => {
    const upserted = await bufCurl(protocol, "UserService/UpsertUser", { external_id: externalId });
    expect(upserted).toMatchObject({ stderr: "", answer: { created: true, user: { externalId } } });
    const got = await bufCurl(protocol, "UserService/GetUser", { ref: { external_id: externalId } });
    expect(got.answer).toMatchObject({ user: { externalId } });
  });

  test("shows the reason of a refusal", async () => {
    const refused = await bufCurl(protocol, "UserService/GetUser", { ref: { external_id: "nobody" } });
    expect(refused.code).not.toBe(0);
    const error = JSON.parse(refused.stderr) as { code: string; details: { type: string; value: string }[] };
    expect([error.code, error.details.map((it) => it.type)]).toEqual(["not_found", ["google.rpc.ErrorInfo"]]);
    const info = fromBinary(ErrorInfoSchema, Buffer.from(error.details[0]?.value ?? "", "base64"));
    expect(info.reason).toBe("USER_NOT_FOUND");
  });
});

test("reflection lists every service", async () => {
  const args = ["curl", "--protocol", "grpc", "--http2-prior-knowledge", "--list-services", server.url];
  const { stdout, stderr } = await run("node_modules/.bin/buf", args);
  expect(stderr).toBe("");
  expect(stdout.trim().split("\n").toSorted()).toEqual([
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "muster.v1.AuditService",
    "muster.v1.EventService",
    "muster.v1.ExternalAuthService",
    "muster.v1.PresenceService",
    "muster.v1.ProjectService",
    "muster.v1.SessionService",
    "muster.v1.TokenService",
    "muster.v1.UserService",
  ]);
});
