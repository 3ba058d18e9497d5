import { fromJson } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { UserDeletedEventSchema } from "../../src/gen/muster/v1/event_pb.ts";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf } from "../support/refusal.ts";
import { settledUserEvents } from "../support/settled-events.ts";
import { startApp } from "../support/start-app.ts";

const { client, db, project } = await startApp();

const alice = { ref: { case: "externalId", value: "alice" } } as const;
const me = { ref: { case: "me", value: true } } as const;

test("a deleted user is gone with all that was its own, and its id stays retired", async () => {
  const { system, signedInUser } = await project();
  const users = system(UserService);
  const { id } = await signedInUser("alice");
  await users.deleteUser({ ref: alice });
  const byId = { ref: { case: "id", value: id } } as const;
  expect(await reasonOf(users.getUser({ ref: byId }))).toBe("USER_DELETED");
  expect(await reasonOf(users.getUser({ ref: alice }))).toBe("USER_NOT_FOUND");
  expect(await reasonOf(users.deleteUser({ ref: byId }))).toBe("USER_DELETED");
  expect(await reasonOf(system(TokenService).issueToken({ ref: byId }))).toBe("USER_DELETED");
  const left = await db.pool.query("select from tokens where user_id = $1", [id]);
  expect(left.rowCount).toBe(0);
});

test("a later upsert of its external id makes a new user", async () => {
  const users = (await project()).system(UserService);
  const first = await users.upsertUser({ externalId: "alice", user: { login: "alice" } });
  await users.deleteUser({ ref: alice });
  const second = await users.upsertUser({ externalId: "alice", user: { login: "alice" } });
  expect(second.created).toBe(true);
  expect(second.user?.id).not.toBe(first.user?.id);
});

test("fifty racing deletions and upserts leave as many events as there were users", async () => {
  const { id, system } = await project();
  const users = system(UserService);
  await Promise.all(
    Array.from({ length: 50 }, async () => {
      await users.upsertUser({ externalId: "alice" });
      await users.deleteUser({ ref: alice }).catch(() => {});
    }),
  );
  const events = await settledUserEvents(db, id);
  const ofType = (type: string) => events.filter((event) => event.type === type).map(({ userId }) => userId);
  const left = await users.batchGetUsers({ refs: [alice] });
  expect(new Set(ofType("user.created")).size).toBe(ofType("user.created").length);
  expect(ofType("user.deleted").length + left.users.length).toBe(ofType("user.created").length);
});

test("`user.deleted` says who it was", async () => {
  const { id, system } = await project();
  const { user } = await system(UserService).upsertUser({ externalId: "alice" });
  await system(UserService).deleteUser({ ref: alice });
  const [, event] = await settledUserEvents(db, id);
  expect(event?.type).toBe("user.deleted");
  const data = fromJson(UserDeletedEventSchema, event?.data as never);
  expect(data).toMatchObject({ userId: user?.id, externalId: "alice" });
});

test("its token is dead at once", async () => {
  const { system, signedInUser } = await project();
  const { token } = await signedInUser("alice");
  const users = client(UserService, token);
  await users.getUser({ ref: me });
  await system(UserService).deleteUser({ ref: alice });
  expect(await reasonOf(users.getUser({ ref: me }))).toBe("TOKEN_REVOKED");
});

test("a user deletes itself unless the project forbids it, and never another", async () => {
  const free = await project();
  const { token } = await free.signedInUser("alice");
  await free.signedInUser("other");
  const other = { ref: { case: "externalId", value: "other" } } as const;
  expect(await reasonOf(client(UserService, token).deleteUser({ ref: other }))).toBe("PRINCIPAL_NOT_ALLOWED");
  await client(UserService, token).deleteUser({ ref: me });
  const strict = await project({ usersMayDeleteThemselves: false });
  const kept = await strict.signedInUser("alice");
  expect(await reasonOf(client(UserService, kept.token).deleteUser({ ref: me }))).toBe("PRINCIPAL_NOT_ALLOWED");
});
