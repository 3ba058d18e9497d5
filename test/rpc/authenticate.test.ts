import { expect, test } from "vitest";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf } from "../support/refusal.ts";
import { OPERATOR_KEY, startApp } from "../support/start-app.ts";

const { client, clock, operator, project } = await startApp();
const me = { ref: { ref: { case: "me", value: true } } } as const;

test("a call without a credential is `.anonymous`, who may do nothing here", async () => {
  expect(await reasonOf(client(UserService).upsertUser({}))).toBe("CREDENTIAL_MISSING");
  expect(await reasonOf(client(ProjectService).listProjects({}))).toBe("CREDENTIAL_MISSING");
});

test("a bad credential is never taken for none, and a session that is not there says so", async () => {
  for (const credential of ["x", "mop_wrong", "a.b", "msk_wrong"])
    expect(await reasonOf(client(UserService, credential).getUser(me))).toBe("CREDENTIAL_INVALID");
  expect(await reasonOf(client(UserService, "a.b.c").getUser(me))).toBe("TOKEN_INVALID");
  expect(await reasonOf(client(UserService, "mst_gone").getUser(me))).toBe("SESSION_NOT_FOUND");
  expect(await reasonOf(client(UserService, undefined, { authorization: "Basic eDp5" }).getUser(me))).toBe(
    "CREDENTIAL_INVALID",
  );
});

test("a user's JWT is taken as bearer, as `x-muster-token` and, with an origin the project lists, as cookie", async () => {
  const { signedInUser } = await project({ corsOrigins: ["https://app.example"] });
  const { id, token } = await signedInUser();
  const asked = (headers: Record<string, string>) => client(UserService, undefined, headers).getUser(me);
  const cookie = `other=1; __Host-muster-session=${token}`;
  for (const headers of [
    { authorization: `Bearer ${token}` },
    { authorization: `bearer  ${token}` },
    { "x-muster-token": token },
    { cookie, origin: "https://app.example" },
  ])
    expect((await asked(headers as Record<string, string>)).user?.id).toBe(id);
  expect(await reasonOf(asked({ cookie }))).toBe("ORIGIN_NOT_ALLOWED");
  expect(await reasonOf(asked({ cookie, origin: "https://evil.example" }))).toBe("ORIGIN_NOT_ALLOWED");
});

test("a page of an origin the project does not list cannot use its credentials", async () => {
  const { accessKey, signedInUser } = await project();
  const { token } = await signedInUser();
  const origin = { origin: "https://evil.example" };
  expect(await reasonOf(client(UserService, token, origin).getUser(me))).toBe("ORIGIN_NOT_ALLOWED");
  expect(await reasonOf(client(UserService, accessKey, origin).upsertUser({}))).toBe("ORIGIN_NOT_ALLOWED");
  expect(await reasonOf(client(ProjectService, OPERATOR_KEY, origin).listProjects({}))).toBe("ORIGIN_NOT_ALLOWED");
});

test("an origin that is added to the project is taken within a second", async () => {
  const { id, signedInUser } = await project();
  const { token } = await signedInUser();
  const users = client(UserService, token, { origin: "https://new.example" });
  expect(await reasonOf(users.getUser(me))).toBe("ORIGIN_NOT_ALLOWED");
  const settings = { corsOrigins: ["https://new.example"] };
  await operator(ProjectService).updateProject({ projectId: id, settings });
  await clock.advance(999);
  expect((await users.getUser(me)).user).toBeDefined();
});

test("a token ends when it says", async () => {
  const { system } = await project();
  const { user } = await system(UserService).upsertUser({});
  const ref = { ref: { case: "id", value: user?.id ?? "" } } as const;
  const { signedToken } = await system(TokenService).issueToken({ ref, ttl: { seconds: 60n } });
  const users = client(UserService, signedToken);
  await clock.advance(59_000);
  expect((await users.getUser(me)).user?.id).toBe(user?.id);
  await clock.advance(61_000);
  expect(await reasonOf(users.getUser(me))).toBe("TOKEN_EXPIRED");
});

test("users may not call what is for `.system`, nor the operator what is a project's", async () => {
  const { signedInUser } = await project();
  const { token } = await signedInUser();
  expect(await reasonOf(client(UserService, token).upsertUser({}))).toBe("PRINCIPAL_NOT_ALLOWED");
  expect(await reasonOf(operator(UserService).upsertUser({}))).toBe("PRINCIPAL_NOT_ALLOWED");
});
