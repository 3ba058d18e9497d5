import { type ServiceError, status } from "@grpc/grpc-js";
import { afterAll, describe, expect, test } from "vitest";
import { PresenceService, type WatchPresenceResponse } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { createGrpcJsClient, grpcJsReasonOf } from "../clients/support/grpc-js.ts";
import { startServerProcess } from "../clients/support/server.ts";

const server = await startServerProcess();
const system = createGrpcJsClient(server.url, server.accessKey);
const operator = createGrpcJsClient(server.url, server.operatorKey);
const anonymous = createGrpcJsClient(server.url);
afterAll(async () => {
  for (const client of [system, operator, anonymous]) client.close();
  await server[Symbol.asyncDispose]();
});

const users = UserService.method;
const tokens = TokenService.method;
const projects = ProjectService.method;
const presences = PresenceService.method;
const ref = (externalId: string) => ({ ref: { case: "externalId" as const, value: externalId } });

/** The error that a call ends with. */
const failureOf = (call: Promise<unknown>) =>
  call.then(
    () => Promise.reject(new Error("the call succeeded")),
    (error: unknown) => error as ServiceError,
  );

describe("grpc-js calls every unary RPC:", () => {
  test("users", async () => {
    const { user, created } = await system.unary(users.upsertUser, { externalId: "ada", user: { name: "Ada" } });
    expect([created, user?.externalId, user?.name]).toEqual([true, "ada", "Ada"]);
    const batch = await system.unary(users.batchUpsertUsers, { users: [{ externalId: "ada" }, { externalId: "bob" }] });
    expect(batch.results.map((result) => result.created)).toEqual([false, true]);
    expect((await system.unary(users.getUser, { ref: ref("ada") })).user?.id).toBe(user?.id);
    const got = await system.unary(users.batchGetUsers, { refs: [ref("bob"), ref("nobody")] });
    expect([got.users.map((it) => it.externalId), got.missing.length]).toEqual([["bob"], 1]);
    const updated = await system.unary(users.updateUser, {
      ref: ref("bob"),
      user: { bio: "Builder" },
      etag: got.users[0]?.etag ?? "",
    });
    expect(updated.user?.bio).toBe("Builder");
    await system.unary(users.deleteUser, { ref: ref("bob") });
    expect((await failureOf(system.unary(users.getUser, { ref: ref("bob") }))).code).toBe(status.NOT_FOUND);
  });

  test("tokens", async () => {
    await system.unary(users.upsertUser, { externalId: "holder" });
    const { signedToken } = await system.unary(tokens.issueToken, { ref: ref("holder") });
    const verified = await system.unary(tokens.verifyToken, { token: signedToken });
    expect([verified.active, verified.user?.externalId]).toEqual([true, "holder"]);
    const { keys } = await system.unary(tokens.listSigningKeys, {});
    expect(keys.length).toBeGreaterThan(0);
  });

  test("projects and access keys", async () => {
    const { project } = await operator.unary(projects.createProject, { displayName: "Second" });
    const projectId = project?.id ?? "";
    const { key, accessKey } = await operator.unary(projects.createAccessKey, { projectId, displayName: "backend" });
    expect(accessKey).toMatch(/^msk_/);
    const listed = await operator.unary(projects.listProjects, {});
    expect(listed.projects.map((it) => it.id)).toEqual(expect.arrayContaining([server.projectId, projectId]));
    const updated = await operator.unary(projects.updateProject, { projectId, displayName: "Renamed" });
    expect(updated.project?.displayName).toBe("Renamed");
    expect((await operator.unary(projects.getProject, { projectId })).project?.displayName).toBe("Renamed");
    await operator.unary(projects.revokeAccessKey, { projectId, keyId: key?.id ?? "" });
    const { keys } = await operator.unary(projects.listAccessKeys, { projectId });
    expect(keys.map((it) => [it.id, it.revokeTime !== undefined])).toEqual([[key?.id, true]]);
    await operator.unary(projects.deleteProject, { projectId });
    expect(grpcJsReasonOf(await failureOf(operator.unary(projects.getProject, { projectId })))).toBe(
      "PROJECT_NOT_FOUND",
    );
  });

  test("presence", async () => {
    await system.unary(users.upsertUser, { externalId: "present" });
    const presence = { status: "online", ttl: { seconds: 60n } };
    expect((await system.unary(presences.setPresence, { ref: ref("present"), presence })).presence?.status).toBe(
      "online",
    );
    expect((await system.unary(presences.getPresence, { ref: ref("present") })).presence?.status).toBe("online");
    const batch = await system.unary(presences.batchGetPresence, { refs: [ref("present")] });
    expect(batch.presences.map((it) => it.status)).toEqual(["online"]);
  });
});

describe("grpc-js", () => {
  test("finds the code and the reason of a refusal in the trailers", async () => {
    const refused = await failureOf(anonymous.unary(users.getUser, { ref: ref("ada") }));
    expect([refused.code, grpcJsReasonOf(refused)]).toEqual([status.UNAUTHENTICATED, "CREDENTIAL_MISSING"]);
    const unknown = await failureOf(system.unary(users.getUser, { ref: ref("nobody") }));
    expect([unknown.code, grpcJsReasonOf(unknown)]).toEqual([status.NOT_FOUND, "USER_NOT_FOUND"]);
  });

  test("sees a change while it watches, and ends the stream by cancelling it", async () => {
    await system.unary(users.upsertUser, { externalId: "watched" });
    const stream = system.stream(presences.watchPresence, { refs: [ref("watched")] });
    const statuses: string[] = [];
    stream.on("data", ({ event }: WatchPresenceResponse) => {
      if (event.case === "update") statuses.push(...event.value.presences.map((it) => it.status));
    });
    const ended = new Promise<number>((settle) => stream.on("error", (error: ServiceError) => settle(error.code)));
    await expect.poll(() => statuses).toEqual(["offline"]);
    await system.unary(presences.setPresence, { ref: ref("watched"), presence: { status: "online" } });
    await expect.poll(() => statuses).toEqual(["offline", "online"]);
    stream.cancel();
    expect(await ended).toBe(status.CANCELLED);
  });

  test("is let go when the deadline of its stream passes", async () => {
    await system.unary(users.upsertUser, { externalId: "late" });
    const stream = system.stream(presences.watchPresence, { refs: [ref("late")] }, { deadline: Date.now() + 300 });
    stream.on("data", () => {});
    const ended = new Promise<number>((settle) => stream.on("error", (error: ServiceError) => settle(error.code)));
    expect(await ended).toBe(status.DEADLINE_EXCEEDED);
  });
});
