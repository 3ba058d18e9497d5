import { type DescMethod, type DescService, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { SERVICES } from "../../src/app.ts";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";

const app = await startApp();
const mine = await app.project();
const theirs = await app.project();
const { id: userId, token } = await theirs.signedInUser("alice");
await theirs.system(UserService).upsertUser({ externalId: "alice", user: { name: "Secret Name" } });
const key = theirs.accessKey.slice(4, 40);

/** A request for each RPC that names another project's things, and what comes of it; a new RPC without one fails the test. */
const FOREIGN: Record<string, [request: JsonValue, outcome: string]> = {
  UpsertUser: [{ externalId: "alice" }, "made"],
  BatchUpsertUsers: [{ users: [{ externalId: "alice" }] }, "made"],
  GetUser: [{ ref: { id: userId } }, "USER_NOT_FOUND"],
  BatchGetUsers: [{ refs: [{ id: userId }] }, "missing"],
  UpdateUser: [{ ref: { id: userId }, user: { name: "x" } }, "USER_NOT_FOUND"],
  DeleteUser: [{ ref: { id: userId } }, "USER_NOT_FOUND"],
  CreateProject: [{ displayName: "x" }, "PRINCIPAL_NOT_ALLOWED"],
  GetProject: [{ projectId: theirs.id }, "PROJECT_NOT_FOUND"],
  ListProjects: [{}, "PRINCIPAL_NOT_ALLOWED"],
  UpdateProject: [{ projectId: theirs.id, displayName: "x" }, "PROJECT_NOT_FOUND"],
  DeleteProject: [{ projectId: theirs.id }, "PRINCIPAL_NOT_ALLOWED"],
  CreateAccessKey: [{ projectId: theirs.id }, "PROJECT_NOT_FOUND"],
  ListAccessKeys: [{ projectId: theirs.id }, "PROJECT_NOT_FOUND"],
  RevokeAccessKey: [{ keyId: key }, "ACCESS_KEY_NOT_FOUND"],
  IssueToken: [{ ref: { id: userId } }, "USER_NOT_FOUND"],
  VerifyToken: [{ token }, "inactive"],
  ListSigningKeys: [{}, "own"],
  SetPresence: [{ ref: { id: userId }, presence: { status: "online" } }, "USER_NOT_FOUND"],
  GetPresence: [{ ref: { id: userId } }, "USER_NOT_FOUND"],
  BatchGetPresence: [{ refs: [{ id: userId }] }, "missing"],
  WatchPresence: [{ refs: [{ id: userId }] }, "streamed"],
};

const methods = SERVICES.flatMap((service: DescService) => service.methods.map((method) => ({ service, method })));

/** What the caller of one project is told when it names the things of another. */
async function ask(service: DescService, method: DescMethod): Promise<unknown> {
  const request = fromJson(method.input, FOREIGN[method.name]?.[0] ?? {});
  const client = mine.system(service) as ReturnType<typeof createClient<DescService>>;
  const call = client[method.localName] as unknown as (message: unknown, options?: object) => Promise<unknown>;
  if (method.methodKind === "unary") return call(request);
  const ended = new AbortController();
  const seen: unknown[] = [];
  const stream = call(request, { signal: ended.signal }) as unknown as AsyncIterable<{ event: { case: string } }>;
  for await (const message of stream) {
    seen.push(message);
    if (message.event.case === "snapshotComplete") break;
  }
  ended.abort();
  return seen;
}

describe("with another project's ids, `.system` learns nothing and changes nothing:", () => {
  test.for(methods)("$service.name.$method.name", async ({ service, method }) => {
    const [, outcome] = FOREIGN[method.name] ?? [];
    expect(outcome, `${method.name} has no case`).toBeDefined();
    if (/^[A-Z_]+$/.test(outcome ?? "")) {
      expect((await refusalOf(ask(service, method))).reason).toBe(outcome);
    } else {
      const answer = JSON.stringify(await ask(service, method), (_, value: unknown) =>
        typeof value === "bigint" ? value.toString() : value,
      );
      expect(answer).not.toContain("Secret Name");
      if (outcome !== "missing" && outcome !== "streamed") expect(answer).not.toContain(userId);
      if (outcome === "inactive") expect(answer).toContain('"active":false');
    }
    const [{ users }, { keys }] = [
      await theirs.system(UserService).batchGetUsers({ refs: [{ ref: { case: "id", value: userId } }] }),
      await app.operator(ProjectService).listAccessKeys({ projectId: theirs.id }),
    ];
    expect(users[0]).toMatchObject({ id: userId, name: "Secret Name" });
    expect(keys).toMatchObject([{ id: key }]);
    expect(keys[0]?.revokeTime).toBeUndefined();
  });
});

test("an unknown and a forbidden user are refused byte for byte alike", async () => {
  const users = mine.system(UserService);
  const nobody = "00000000-0000-7000-8000-000000000000";
  const ask = async (id: string) => {
    const { error } = await refusalOf(users.getUser({ ref: { ref: { case: "id", value: id } } }));
    const { code, rawMessage, details } = error;
    return { code, rawMessage, details };
  };
  expect(await ask(userId)).toEqual(await ask(nobody));
});
