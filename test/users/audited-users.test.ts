import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { LocatorType } from "../../src/gen/muster/v1/user_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { guest, PASSWORD } from "../sessions/sessions-fixture.ts";
import { auditEntries, changesIn } from "../support/audit-entries.ts";
import { startMailServer } from "../support/mail-server.ts";
import { reasonOf } from "../support/refusal.ts";
import { settledEvents } from "../support/settled-events.ts";
import { startApp, type TestProject } from "../support/start-app.ts";
import { text } from "./attributes-fixture.ts";
import { someImage } from "./avatar-fixture.ts";

const mail = await startMailServer();
const app = await startApp({
  config: { smtp: { host: "127.0.0.1", port: mail.port, tls: false }, mailFrom: "codes@muster.example" },
});
const { db } = app;
const alice = { ref: { case: "externalId", value: "alice" } } as const;
const address = { type: LocatorType.EMAIL, value: "alice@example.org" };

/** A project with a user, and what calls change from there on. */
async function withAlice() {
  const project = await app.project();
  const users = project.system(UserService);
  const { user } = await users.upsertUser({ externalId: "alice" });
  const id = user?.id ?? "";
  return { project, users, id, changes: await changesFrom(project) };
}

/** Gives, each time it is asked, what was changed in a project since the last time. */
async function changesFrom({ id }: TestProject) {
  let seen = (await changesIn(db, id)).length;
  return async () => {
    const all = await changesIn(db, id);
    return all.slice(seen, (seen = all.length));
  };
}

const definition = (key: string) => ({ definition: { key, contentTypes: ["text/plain"] } });

describe("one entry says what a call changed, and none that a call changed nothing:", () => {
  test("a user that is made, brought up to date, changed and deleted", async () => {
    const { users, id, changes } = await withAlice();
    await users.upsertUser({ externalId: "alice", user: { name: "A", bio: "b" } });
    await users.upsertUser({ externalId: "alice", user: { name: "A", bio: "b" } });
    await users.updateUser({ ref: alice, user: { name: "B" } });
    await users.updateUser({ ref: alice, user: { name: "B" } });
    await users.batchUpsertUsers({ users: [{ externalId: "alice", user: { name: "B" } }] });
    await users.batchUpsertUsers({ users: [{ externalId: "alice", user: { name: "V" } }], validateOnly: true });
    expect(await changes()).toEqual([
      { method: "UserService/UpsertUser", userId: id, details: { created: false, changed: ["name", "bio"] } },
      { method: "UserService/UpdateUser", userId: id, details: { changed: ["name"] } },
    ]);
    await users.deleteUser({ ref: alice });
    expect(await reasonOf(users.deleteUser({ ref: alice }))).toBe("USER_NOT_FOUND");
    expect(await changes()).toEqual([{ method: "UserService/DeleteUser", userId: id }]);
  });

  test("many users of one call each have theirs", async () => {
    const { users, id, changes } = await withAlice();
    const { results } = await users.batchUpsertUsers({
      users: [
        { externalId: "alice", user: { bio: "b" }, passwordHash: "" },
        { externalId: "bob", user: { bio: "b" } },
      ],
    });
    const method = "UserService/BatchUpsertUsers";
    expect(await changes()).toEqual([
      { method, userId: id, details: { created: false, changed: ["bio"] } },
      { method, userId: results[1]?.user?.id, details: { created: true } },
    ]);
  });

  test("addresses, and the code by which one is verified", async () => {
    const { users, id, changes } = await withAlice();
    const call = { ref: alice, locator: address };
    await users.addLocator(call);
    await users.addLocator(call);
    await users.requestLocatorVerification(call);
    const code = /code for Test is (\d{8})\./.exec(mail.received.at(-1)?.message ?? "")?.[1] ?? "";
    const wrong = String((Number(code) + 1) % 10 ** 8).padStart(8, "0");
    expect(await reasonOf(users.verifyLocator({ ...call, code: wrong }))).toBe("VERIFICATION_CODE_INVALID");
    await users.verifyLocator({ ...call, code });
    await users.requestLocatorVerification(call);
    await users.removeLocator(call);
    const changed = { userId: id, details: { changed: ["locators"] } };
    expect(await changes()).toEqual([
      { method: "UserService/AddLocator", ...changed },
      { method: "UserService/RequestLocatorVerification", userId: id, details: { type: "email" } },
      { method: "UserService/VerifyLocator", ...changed },
      { method: "UserService/RemoveLocator", ...changed },
    ]);
  });

  test("attributes and their definitions, whose end takes the values of users away", async () => {
    const { users, id, changes } = await withAlice();
    await users.defineAttribute(definition("height"));
    await users.defineAttribute(definition("height"));
    const set = () => users.setAttributes({ ref: alice, attributes: { height: text("1.7 m") } });
    await set();
    await set();
    await users.deleteAttributeDefinition({ key: "height" });
    expect(await reasonOf(users.deleteAttributeDefinition({ key: "height" }))).toBe("ATTRIBUTE_DEFINITION_NOT_FOUND");
    const target = "attribute_definition/height";
    expect(await changes()).toEqual([
      { method: "UserService/DefineAttribute", target, details: { created: true } },
      { method: "UserService/DefineAttribute", target, details: { created: false } },
      { method: "UserService/SetAttributes", userId: id, details: { changed: ["attributes"] } },
      { method: "UserService/DeleteAttributeDefinition", target },
      { method: "UserService/DeleteAttributeDefinition", userId: id, target, details: { changed: ["attributes"] } },
    ]);
  });

  test("a password, and nothing that it could be told from", async () => {
    const { users, id, changes } = await withAlice();
    await users.setPassword({ ref: alice, password: PASSWORD });
    expect(await changes()).toEqual([
      { method: "UserService/SetPassword", userId: id, details: { changed: ["password"] } },
    ]);
  });

  test("an avatar", async () => {
    const { users, id, changes } = await withAlice();
    const image = await someImage(1);
    await users.setAvatar({ ref: alice, image });
    await users.setAvatar({ ref: alice, image });
    await users.deleteAvatar({ ref: alice });
    await users.deleteAvatar({ ref: alice });
    const changed = { userId: id, details: { changed: ["avatar_url"] } };
    expect(await changes()).toEqual([
      { method: "UserService/SetAvatar", ...changed },
      { method: "UserService/DeleteAvatar", ...changed },
    ]);
  });

  test("a suspension that is given and lifted, and one that begins later by itself", async () => {
    const { project, users, id, changes } = await withAlice();
    const suspend = async (startMs?: number) => {
      const suspension = {
        reason: "spam",
        blocksSignIn: true,
        ...(startMs !== undefined && { startTime: timestampFromMs(startMs) }),
      };
      const { user } = await users.suspendUser({ ref: alice, suspension });
      return user?.suspensions.at(-1)?.id ?? "";
    };
    const now = await suspend();
    await users.liftSuspension({ ref: alice, suspensionId: now });
    expect(await reasonOf(users.liftSuspension({ ref: alice, suspensionId: now }))).toBe("SUSPENSION_NOT_FOUND");
    const later = await suspend(app.clock.now() + 5_000);
    const method = "UserService/SuspendUser";
    expect(await changes()).toEqual([
      { method, userId: id, target: `suspension/${now}` },
      { method: "UserService/LiftSuspension", userId: id, target: `suspension/${now}` },
      { method, userId: id, target: `suspension/${later}` },
    ]);
    const last = async () => {
      await app.clock.advance(1_000);
      return (await auditEntries(db, project.id)).at(-1);
    };
    await expect.poll(last).toMatchObject({
      ...{ method: "job/suspensions", actorKind: "server", actorId: null, requestId: null, userId: id },
      ...{ target: null, details: { suspensions: [later] } },
    });
    expect(await changes()).toHaveLength(1);
  });

  test("a user that comes by itself, and a guest that becomes a full one", async () => {
    const project = await app.project();
    const changes = async () => (await changesIn(db, project.id)).filter(({ target }) => target === undefined);
    const before = (await changes()).length;
    const { grant, userId } = await guest(app, project);
    const { user } = await app
      .client(SessionService)
      .signUp({ projectId: project.id, login: "ada", password: PASSWORD });
    await app
      .client(SessionService, grant.sessionToken)
      .signUp({ projectId: project.id, login: "grace", password: PASSWORD });
    expect((await changes()).slice(before)).toEqual([
      { method: "SessionService/CreateSession", userId, details: { created: true } },
      { method: "SessionService/SignUp", userId: user?.id, details: { created: true } },
      { method: "SessionService/SignUp", userId, details: { changed: ["guest", "password", "login"] } },
    ]);
  });
});

test("of twenty racing calls that change the same, one leaves an entry, and each user that racing calls make has one", async () => {
  const { users, id, changes } = await withAlice();
  const upsert = (externalId: string) => users.upsertUser({ externalId, user: { name: "raced" } });
  await Promise.all(Array.from({ length: 20 }, () => [upsert("alice"), upsert("bob")]).flat());
  const details = (await changes()).map((change) => [change.userId === id, change.details]);
  expect(details).toHaveLength(2);
  expect(details).toContainEqual([true, { created: false, changed: ["name"] }]);
  expect(details).toContainEqual([false, { created: true }]);
});

test("events name the origin that the caller gave, and so do entries", async () => {
  const project = await app.project();
  const users = app.client(UserService, project.accessKey, { "muster-origin": "crm-sync" });
  await users.upsertUser({ externalId: "alice" });
  const { user } = await users.suspendUser({ ref: alice, suspension: { reason: "spam" } });
  await users.liftSuspension({ ref: alice, suspensionId: user?.suspensions[0]?.id ?? "" });
  await users.deleteUser({ ref: alice });
  const events = (await settledEvents(db, project.id)).filter(({ userId }) => userId === user?.id);
  expect(events.map(({ type, origin }) => [type, origin])).toEqual([
    ["user.created", "crm-sync"],
    ["user.suspended", "crm-sync"],
    ["user.suspension_lifted", "crm-sync"],
    ["user.deleted", "crm-sync"],
  ]);
  const entries = (await auditEntries(db, project.id)).filter(({ userId }) => userId === user?.id);
  expect(entries.map(({ actorKind, origin }) => [actorKind, origin])).toEqual(
    Array.from({ length: 4 }, () => ["system", "crm-sync"]),
  );
});
