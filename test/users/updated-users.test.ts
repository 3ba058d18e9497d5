import { fromJson, toJson } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { UserUpdatedEventSchema } from "../../src/gen/muster/v1/event_pb.ts";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { LocatorType, type User, UserSchema } from "../../src/gen/muster/v1/user_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { guest, PASSWORD } from "../sessions/sessions-fixture.ts";
import { startMailServer } from "../support/mail-server.ts";
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
const HASH = "$2b$10$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
const OTHER_HASH = "$2b$10$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeX";

/** The users that `user.updated` told of, as they were told. */
async function updatesIn({ id }: TestProject): Promise<(User | undefined)[]> {
  const events = (await settledEvents(db, id)).filter(({ type }) => type === "user.updated");
  return events.map(({ data }) => fromJson(UserUpdatedEventSchema, data as never).user);
}

/** What an event tells of a user: all of it but what changes without one. */
function told(user: User | undefined) {
  if (!user) throw new Error("there is no user");
  const {
    etag: _,
    last_active_time: __,
    ...rest
  } = toJson(UserSchema, user, { useProtoFieldName: true }) as Record<string, unknown>;
  return rest;
}

/** A project with a user; `tells` holds that a call is told of once, by the user as GetUser then gives it. */
async function withAlice() {
  const project = await app.project();
  const users = project.system(UserService);
  await users.upsertUser({ externalId: "alice" });
  let seen = 0;
  async function news() {
    const all = await updatesIn(project);
    return all.slice(seen, (seen = all.length));
  }
  async function tells(call: () => Promise<unknown>) {
    await app.clock.advance(1_000);
    await call();
    const { user } = await users.getUser({ ref: alice });
    expect((await news()).map(told)).toEqual([told(user)]);
  }
  return { project, users, news, tells };
}

describe("`user.updated` tells the whole user, once for each change:", () => {
  test("of a profile, by every way to change it, and not of what stays as it is", async () => {
    const { users, news, tells } = await withAlice();
    const user = {
      ...{ name: "Zoë 🦆", login: "alice", bio: "b", birthdate: { year: 1990, month: 2, day: 3 } },
      ...{
        location: { latitude: 1.5, longitude: -2.5 },
        tags: ["a"],
        reputation: 7n,
        privateMetadata: { plan: "gold" },
      },
      ...{ email: "alice@example.org", emailVerified: true, phone: "+4930901820" },
    };
    await tells(() => users.upsertUser({ externalId: "alice", user }));
    await users.upsertUser({ externalId: "alice", user });
    await users.updateUser({ ref: alice, user: { name: user.name } });
    await users.batchUpsertUsers({ users: [{ externalId: "alice", user }] });
    expect(await news()).toEqual([]);
    await tells(() => users.updateUser({ ref: alice, user: { name: "B" } }));
    await tells(() => users.batchUpsertUsers({ users: [{ externalId: "alice", user }, { externalId: "bob" }] }));
    await tells(() => users.batchUpsertUsers({ users: [{ externalId: "alice", user: { bio: "c" } }] }));
  });

  test("of addresses, attributes and the avatar", async () => {
    const { users, news, tells } = await withAlice();
    const locator = address;
    await tells(() => users.addLocator({ ref: alice, locator }));
    await users.requestLocatorVerification({ ref: alice, locator });
    const code = /code for Test is (\d{8})\./.exec(mail.received.at(-1)?.message ?? "")?.[1] ?? "";
    await tells(() => users.verifyLocator({ ref: alice, locator, code }));
    await tells(() => users.removeLocator({ ref: alice, locator }));
    await users.defineAttribute({ definition: { key: "height", contentTypes: ["text/plain"] } });
    await tells(() => users.setAttributes({ ref: alice, attributes: { height: text("1.7 m") } }));
    await tells(() => users.deleteAttributeDefinition({ key: "height" }));
    const image = await someImage(1);
    await tells(() => users.setAvatar({ ref: alice, image }));
    await tells(() => users.deleteAvatar({ ref: alice }));
    await users.deleteAvatar({ ref: alice });
    expect(await news()).toEqual([]);
  });

  test("not of a password, of a suspension, which has events of its own, or of when the user was there", async () => {
    const { project, users, news, tells } = await withAlice();
    await users.setPassword({ ref: alice, password: PASSWORD });
    await users.upsertUser({ externalId: "alice", passwordHash: HASH });
    await users.batchUpsertUsers({ users: [{ externalId: "alice", passwordHash: OTHER_HASH }, { externalId: "bob" }] });
    const { user } = await users.suspendUser({ ref: alice, suspension: { reason: "spam" } });
    await users.liftSuspension({ ref: alice, suspensionId: user?.suspensions[0]?.id ?? "" });
    await project.signedInUser("alice");
    expect(await news()).toEqual([]);
    const profile = { name: "with a password" };
    await tells(() => users.upsertUser({ externalId: "alice", user: profile, passwordHash: HASH }));
  });

  test("of a guest that becomes a full user", async () => {
    const project = await app.project();
    const { grant, userId } = await guest(app, project, "G");
    await app
      .client(SessionService, grant.sessionToken)
      .signUp({ projectId: project.id, login: "grace", password: PASSWORD });
    const { user } = await project.system(UserService).getUser({ ref: { ref: { case: "id", value: userId } } });
    expect((await updatesIn(project)).map(told)).toEqual([told(user)]);
    expect(user).toMatchObject({ guest: false, login: "grace", name: "G" });
  });
});

describe("of racing changes of one user", () => {
  test("each is told of, in the order in which they were made", async () => {
    const { project, users } = await withAlice();
    const calls = Array.from({ length: 40 }, (_, i) => [
      users.upsertUser({ externalId: "alice", user: { name: `name ${i}` }, ...(i % 2 && { passwordHash: HASH }) }),
      users.updateUser({ ref: alice, user: { bio: `bio ${i}` } }),
      users.batchUpsertUsers({ users: [{ externalId: "alice", user: { timeZone: i % 2 ? "UTC" : "Europe/Paris" } }] }),
    ]).flat();
    for (const call of calls) await call;
    const updates = await updatesIn(project);
    const { user } = await users.getUser({ ref: alice });
    expect(updates.at(-1)).toBeDefined();
    expect(told(updates.at(-1))).toEqual(told(user));
    // A name and a bio that were written stay until the next one is.
    for (const field of ["name", "bio"] as const) {
      const values = updates.map((it) => it?.[field]);
      const runs = values.filter((value, i) => value !== "" && value !== values[i - 1]);
      expect(runs).toHaveLength(40);
    }
  });

  test("none is told of after the deletion", async () => {
    const { project, users } = await withAlice();
    for (let round = 0; round < 10; round++) {
      const { user } = await users.upsertUser({ externalId: "bob" });
      const bob = { ref: { case: "id", value: user?.id ?? "" } } as const;
      const updates = Array.from({ length: 10 }, (_, i) => users.updateUser({ ref: bob, user: { name: `name ${i}` } }));
      await Promise.allSettled([...updates, users.deleteUser({ ref: bob })]);
      const events = (await settledEvents(db, project.id)).filter(({ userId }) => userId === user?.id);
      expect(events.map(({ type }) => type).indexOf("user.deleted")).toBe(events.length - 1);
    }
  });
});

test("an update names the origin that the caller gave", async () => {
  const project = await app.project();
  const users = app.client(UserService, project.accessKey, { "muster-origin": "crm-sync" });
  await users.upsertUser({ externalId: "alice" });
  await users.updateUser({ ref: alice, user: { name: "A" } });
  await users.addLocator({ ref: alice, locator: address });
  const events = (await settledEvents(db, project.id)).filter(({ type }) => type.startsWith("user."));
  expect(events.map(({ type, origin }) => [type, origin])).toEqual([
    ["user.created", "crm-sync"],
    ["user.updated", "crm-sync"],
    ["user.updated", "crm-sync"],
  ]);
});
