import { fromJson } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { UserCreatedEventSchema } from "../../src/gen/muster/v1/event_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { settledUserEvents } from "../support/settled-events.ts";
import { startApp } from "../support/start-app.ts";

const { db, project, clock } = await startApp();

test("the first upsert makes the user and says so, the second one changes it in place", async () => {
  const users = (await project()).system(UserService);
  const first = await users.upsertUser({ externalId: "user_alice", user: { name: "Alice", login: "alice" } });
  await clock.advance(1_000);
  const second = await users.upsertUser({ externalId: "user_alice", user: { name: "Alice A." } });
  expect([first.created, second.created]).toEqual([true, false]);
  expect(second.user).toMatchObject({ id: first.user?.id, name: "Alice A.", login: "alice" });
  expect(second.user?.etag).not.toBe(first.user?.etag);
  expect(second.user?.updateTime?.seconds).toBe((first.user?.updateTime?.seconds ?? 0n) + 1n);
});

test("a thousand racing first upserts of one external id leave one user, one `user.created` and one `created`", async () => {
  const { id, system } = await project();
  const users = system(UserService);
  const answers = await Promise.all(
    Array.from({ length: 1_000 }, (_, i) =>
      users.upsertUser({ externalId: "racer", user: { name: `try ${Math.floor(i / 143)}` } }),
    ),
  );
  expect(answers.filter(({ created }) => created)).toHaveLength(1);
  expect(new Set(answers.map(({ user }) => user?.id)).size).toBe(1);
  const events = await settledUserEvents(db, id);
  // The others change the name, where it is not what they write.
  const types = events.map(({ type }) => type).filter((type) => type !== "user.updated");
  expect(types).toEqual(["user.created"]);
});

test("an upsert that changes nothing writes nothing", async () => {
  const users = (await project()).system(UserService);
  const user = {
    name: "Same",
    tags: ["a", "b"],
    metadata: { deep: { list: [1, null, "x"] } },
    location: { latitude: 1, longitude: 2 },
  };
  const first = await users.upsertUser({ externalId: "same", user });
  await clock.advance(1_000);
  const again = await users.upsertUser({ externalId: "same", user });
  expect(again).toEqual({ ...first, created: false });
});

test("every field that may be written comes back as it was sent", async () => {
  const users = (await project()).system(UserService);
  const sent = {
    login: "Zoë_42",
    name: "Zoë 👩‍🚀",
    email: "Zoe@Example.org",
    emailVerified: true,
    phone: "+4915112345678",
    phoneVerified: true,
    avatarUrl: "https://cdn.example.org/z.png",
    bio: "line one\nline two",
    website: "http://example.org/?q=1",
    birthdate: { year: 2004, month: 2, day: 29 },
    timeZone: "Europe/Berlin",
    location: { latitude: 52.52, longitude: 13.405 },
    metadata: { theme: "dark", nested: { on: true } },
    privateMetadata: { plan: "gold" },
    tags: ["beta", "vip"],
    reputation: -9007199254740991n,
  };
  const { user } = await users.upsertUser({ externalId: "zoe", user: sent });
  expect(user).toMatchObject(sent);
  const read = await users.getUser({ ref: { ref: { case: "externalId", value: "zoe" } } });
  expect(read.user).toEqual(user);
});

test("fields left out keep their value; a mask clears or limits", async () => {
  const users = (await project()).system(UserService);
  await users.upsertUser({ externalId: "m", user: { name: "Name", bio: "Bio", tags: ["t"], reputation: 5n } });
  const limited = await users.upsertUser({
    externalId: "m",
    user: { name: "New", bio: "ignored" },
    updateMask: { paths: ["name"] },
  });
  expect(limited.user).toMatchObject({ name: "New", bio: "Bio", tags: ["t"], reputation: 5n });
  const cleared = await users.upsertUser({ externalId: "m", updateMask: { paths: ["bio", "tags", "reputation"] } });
  expect(cleared.user).toMatchObject({ name: "New", tags: [], reputation: 0n });
  expect(cleared.user?.bio).toBe("");
});

test("a mask limits what a new user gets, too, in a batch as in a call of its own", async () => {
  const users = (await project()).system(UserService);
  const user = { name: "Name", bio: "ignored", email: "ignored@example.com" };
  const one = await users.upsertUser({ externalId: "one", user, updateMask: { paths: ["name"] } });
  const { results } = await users.batchUpsertUsers({
    users: [
      { externalId: "two", user, updateMask: { paths: ["name"] } },
      { externalId: "three", user: { name: "Name" } },
      { externalId: "four", user: { bio: "told" } },
    ],
  });
  for (const made of [one, ...results.slice(0, 2)])
    expect([made.created, made.user?.name, made.user?.bio, made.user?.email]).toEqual([true, "Name", "", ""]);
});

test("an external id that is left out is generated, and a user made each time", async () => {
  const users = (await project()).system(UserService);
  const [one, two] = await Promise.all([users.upsertUser({}), users.upsertUser({})]);
  expect(one.created && two.created).toBe(true);
  expect(one.user?.externalId).not.toBe(two.user?.externalId);
  expect(one.user?.externalId).not.toBe("");
});

test("an email that changes is no longer verified, unless the same call says so", async () => {
  const users = (await project()).system(UserService);
  const upsert = (user: object) => users.upsertUser({ externalId: "e", user });
  await upsert({ email: "a@example.org", emailVerified: true });
  expect((await upsert({ email: "A@example.org" })).user?.emailVerified).toBe(true);
  expect((await upsert({ email: "b@example.org" })).user?.emailVerified).toBe(false);
  expect((await upsert({ email: "c@example.org", emailVerified: true })).user?.emailVerified).toBe(true);
});

test("logins, emails and phones are unique without regard to case, each with its own reason", async () => {
  const users = (await project()).system(UserService);
  await users.upsertUser({ externalId: "1", user: { login: "Straße", email: "x@example.org", phone: "+4930123456" } });
  const taken = (user: object) => refusalOf(users.upsertUser({ externalId: "2", user }));
  expect((await taken({ login: "STRAßE" })).reason).toBe("LOGIN_TAKEN");
  expect(await taken({ email: "X@EXAMPLE.ORG" })).toMatchObject({
    reason: "LOCATOR_TAKEN",
    metadata: { type: "email" },
  });
  expect(await taken({ phone: "+4930123456" })).toMatchObject({ reason: "LOCATOR_TAKEN", metadata: { type: "phone" } });
  const other = (await project()).system(UserService);
  expect((await other.upsertUser({ externalId: "1", user: { login: "straße" } })).created).toBe(true);
});

test("`user.created` holds the user as it was made, in the form of its message", async () => {
  const { id, system } = await project();
  const sent = {
    name: "E",
    email: "e@example.org",
    birthdate: { year: 1990, month: 12, day: 31 },
    metadata: { a: [1] },
  };
  const { user } = await system(UserService).upsertUser({ externalId: "event", user: sent });
  const [event] = await settledUserEvents(db, id);
  expect(event).toMatchObject({ type: "user.created", userId: user?.id });
  const data = fromJson(UserCreatedEventSchema, event?.data as never);
  expect(data.user).toMatchObject({ ...sent, id: user?.id, externalId: "event", createTime: user?.createTime });
});

test("what breaks a rule is refused by the names of its fields", async () => {
  const users = (await project()).system(UserService);
  const fieldsOf = async (request: object) => (await refusalOf(users.upsertUser(request))).fields;
  expect(await fieldsOf({ user: { login: "ab", email: "not an address", website: "javascript:alert(1)" } })).toEqual(
    expect.arrayContaining(["user.login", "user.email", "user.website"]),
  );
  expect(await fieldsOf({ user: { birthdate: { year: 2023, month: 2, day: 29 } } })).toEqual(["user.birthdate"]);
  expect(await fieldsOf({ user: { timeZone: "Mars/Olympus" } })).toEqual(["user.time_zone"]);
  expect(await fieldsOf({ user: { tags: ["a", "a"] } })).toEqual(["user.tags"]);
  expect(await fieldsOf({ updateMask: { paths: ["id"] } })).toEqual(["update_mask"]);
  expect(await fieldsOf({ externalId: "x".repeat(256) })).toEqual(["external_id"]);
});

test("a project's pattern holds for new external ids only", async () => {
  const { system } = await project({ userIdPattern: "user_[a-z]+" });
  const users = system(UserService);
  expect((await users.upsertUser({ externalId: "user_abc" })).created).toBe(true);
  expect(await reasonOf(users.upsertUser({ externalId: "user_abc!" }))).toBe("REQUEST_INVALID");
});
