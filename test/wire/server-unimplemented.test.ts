import { create, createFileRegistry, type DescService } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { testDatabaseAddress } from "../support/database.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { PROTOCOLS, startTestServer } from "../support/start-test-server.ts";

const app = await startApp();
const address = await testDatabaseAddress();

/** A service of the contract's package with one method that takes and gives `Nothing`. */
function serviceWith(name: string, method: string): DescService {
  const type = ".muster.v1.Nothing";
  const file = create(FileDescriptorProtoSchema, {
    name: "muster/v1/later.proto",
    package: "muster.v1",
    syntax: "proto3",
    messageType: [{ name: "Nothing" }],
    service: [{ name, method: [{ name: method, inputType: type, outputType: type }] }],
  });
  const service = createFileRegistry(file, () => undefined).getService(`muster.v1.${name}`);
  if (!service) throw new Error("the service was not made");
  return service;
}

const call = (client: object, method: string) =>
  (client as Record<string, (request: object) => Promise<unknown>>)[method]?.({}) ?? Promise.resolve();

describe.each(PROTOCOLS)("%s:", (protocol) => {
  test.each(["UserService", "LaterService"])("an unknown method of %s is unimplemented", async (name) => {
    const server = await startTestServer({ address });
    const client = server.client(serviceWith(name, "Haunt"), undefined, protocol);
    await expect(call(client, "haunt")).rejects.toMatchObject({ code: Code.Unimplemented });
  });
});

test("an RPC whose access nobody declared is refused with UNIMPLEMENTED, whoever calls and whatever stands behind it", async () => {
  const later = serviceWith("LaterService", "Haunt");
  const router = { interceptors: app.app.interceptors };
  const haunt = { haunt: () => ({}) } as object;
  const transport = createRouterTransport((routes) => routes.service(later, haunt), { router });
  expect(await reasonOf(call(createClient(later, transport), "haunt"))).toBe("UNIMPLEMENTED");
});

test("an RPC of the contract that this server does not have is refused with UNIMPLEMENTED", async () => {
  const project = await app.project();
  const router = { interceptors: app.app.interceptors };
  const transport = createRouterTransport(
    (routes) => {
      routes.service(UserService, {});
      routes.service(PresenceService, {});
    },
    { router },
  );
  const headers = { authorization: `Bearer ${project.accessKey}` };
  const refs = [{ ref: { case: "externalId" as const, value: "ada" } }];
  const unary = createClient(UserService, transport).batchGetUsers({ refs }, { headers });
  expect(await reasonOf(unary)).toBe("UNIMPLEMENTED");
  const stream = createClient(PresenceService, transport).watchPresence({ refs }, { headers });
  expect(await reasonOf(stream[Symbol.asyncIterator]().next())).toBe("UNIMPLEMENTED");
});
