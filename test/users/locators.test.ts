import { fromJson } from "@bufbuild/protobuf";
import { afterEach, expect, test } from "vitest";
import { UserCreatedEventSchema } from "../../src/gen/muster/v1/event_pb.ts";
import { LocatorType, type User } from "../../src/gen/muster/v1/user_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { settledUserEvents } from "../support/settled-events.ts";
import { startApp, type TestProject } from "../support/start-app.ts";
import { unfaithfulLocators } from "../support/unfaithful-locators.ts";

const app = await startApp();
const { db } = app;
const projects: TestProject[] = [];

async function project(): Promise<TestProject> {
  const made = await app.project();
  projects.push(made);
  return made;
}

afterEach(async () => {
  for (const { id } of projects.splice(0)) {
    const unfaithful = await unfaithfulLocators(db, id);
    if (unfaithful.length > 0) throw new Error(`locators that contradict each other: ${JSON.stringify(unfaithful)}`);
  }
});

const external = (value: string) => ({ ref: { case: "externalId" as const, value } });
const alice = external("alice");
const me = { ref: { case: "me" as const, value: true } };
const email = (value: string) => ({ type: LocatorType.EMAIL, value });
const phone = (value: string) => ({ type: LocatorType.PHONE, value });

/** A user's addresses, in a line each: `*` marks the primary ones, `!` the verified ones. */
const linesOf = (user: User | undefined) =>
  user?.locators.map(({ value, primary, verified }) => `${value}${primary ? "*" : ""}${verified ? "!" : ""}`);

test("a user has any number of addresses, and is found by each of them, alone and in a batch", async () => {
  const users = (await project()).system(UserService);
  await users.upsertUser({ externalId: "alice", user: { email: "a@example.org" } });
  await users.addLocator({ ref: alice, locator: email("Second@Example.org") });
  await users.addLocator({ ref: alice, locator: phone("+4930123456") });
  const { user } = await users.addLocator({ ref: alice, locator: { ...phone("+4930123457"), verified: true } });
  expect(linesOf(user)).toEqual(["a@example.org*", "Second@Example.org", "+4930123456*", "+4930123457!"]);
  expect(user).toMatchObject({ email: "a@example.org", phone: "+4930123456", phoneVerified: false });
  const refs = [
    { ref: { case: "email" as const, value: "SECOND@example.org" } },
    { ref: { case: "phone" as const, value: "+4930123457" } },
    { ref: { case: "email" as const, value: "a@EXAMPLE.org" } },
  ];
  for (const ref of refs) expect((await users.getUser({ ref })).user).toEqual(user);
  expect((await users.batchGetUsers({ refs })).users).toEqual([user]);
  const ref = refs[0];
  expect((await users.updateUser({ ref, user: { name: "A" } })).user?.name).toBe("A");
  await users.deleteUser({ ref });
  expect(await reasonOf(users.getUser({ ref }))).toBe("USER_NOT_FOUND");
});

test("an email that is new replaces the primary one; one that is held already becomes primary, as verified as it was", async () => {
  const users = (await project()).system(UserService);
  const set = async (user: object) => linesOf((await users.upsertUser({ externalId: "alice", user })).user);
  expect(await set({ email: "1@example.org", emailVerified: true })).toEqual(["1@example.org*!"]);
  await users.addLocator({ ref: alice, locator: { ...email("2@example.org"), verified: true } });
  expect(await set({ email: "3@example.org" })).toEqual(["2@example.org!", "3@example.org*"]);
  const { user } = await users.updateUser({ ref: alice, user: { email: "2@Example.org" } });
  expect(linesOf(user)).toEqual(["2@Example.org*!", "3@example.org"]);
  expect(user).toMatchObject({ email: "2@Example.org", emailVerified: true });
  expect(await set({ email: "4@example.org", emailVerified: true })).toEqual(["3@example.org", "4@example.org*!"]);
  const cleared = await users.updateUser({ ref: alice, user: {}, updateMask: { paths: ["email"] } });
  expect([linesOf(cleared.user), cleared.user?.email, cleared.user?.emailVerified]).toEqual([
    ["3@example.org"],
    "",
    false,
  ]);
  expect((await users.upsertUser({ externalId: "bob", user: { email: "1@example.org" } })).created).toBe(true);
});

test("in place of a primary address that is removed the oldest other one of its type becomes primary", async () => {
  const users = (await project()).system(UserService);
  await users.upsertUser({ externalId: "alice", user: { email: "1@example.org", phone: "+4930123456" } });
  for (const value of ["2@example.org", "3@example.org"]) await users.addLocator({ ref: alice, locator: email(value) });
  const remove = async (value: string) =>
    linesOf((await users.removeLocator({ ref: alice, locator: email(value) })).user);
  expect(await remove("1@Example.ORG")).toEqual(["+4930123456*", "2@example.org*", "3@example.org"]);
  expect(await remove("3@example.org")).toEqual(["+4930123456*", "2@example.org*"]);
  expect(await remove("2@example.org")).toEqual(["+4930123456*"]);
  expect(await reasonOf(remove("2@example.org"))).toBe("LOCATOR_NOT_FOUND");
  expect(await reasonOf(remove("+4930123456"))).toBe("LOCATOR_NOT_FOUND");
});

test("an address that a user has is added once; `.system` may make it verified", async () => {
  const users = (await project()).system(UserService);
  const { user } = await users.upsertUser({ externalId: "alice", user: { email: "a@example.org" } });
  const again = await users.addLocator({ ref: alice, locator: email("A@EXAMPLE.org") });
  expect(again.user).toEqual(user);
  const verified = await users.addLocator({ ref: alice, locator: { ...email("a@example.org"), verified: true } });
  expect(verified.user).toMatchObject({ emailVerified: true });
  expect(verified.user?.etag).not.toBe(user?.etag);
});

test("an address has one owner in its project, whether primary or not, however it is written", async () => {
  const users = (await project()).system(UserService);
  await users.upsertUser({ externalId: "alice", user: { email: "x@münchen.example" } });
  await users.addLocator({ ref: alice, locator: phone("+4930123456") });
  await users.addLocator({ ref: alice, locator: email("second@example.org") });
  await users.upsertUser({ externalId: "bob" });
  const taken = { reason: "LOCATOR_TAKEN", metadata: { type: "email" } };
  const bob = external("bob");
  expect(await refusalOf(users.addLocator({ ref: bob, locator: email("X@xn--mnchen-3ya.example") }))).toMatchObject(
    taken,
  );
  expect(await refusalOf(users.addLocator({ ref: bob, locator: email('"x"@MÜNCHEN.example') }))).toMatchObject(taken);
  expect(await refusalOf(users.updateUser({ ref: bob, user: { email: "second@example.org" } }))).toMatchObject(taken);
  expect(await refusalOf(users.upsertUser({ externalId: "carol", user: { phone: "+4930123456" } }))).toMatchObject({
    reason: "LOCATOR_TAKEN",
    metadata: { type: "phone" },
  });
  const { results } = await users.batchUpsertUsers({
    users: [
      { externalId: "d", user: { email: "d@example.org" } },
      { externalId: "e", user: { email: "second@example.org" } },
    ],
  });
  expect(results.map(({ error }) => error?.message)).toEqual([undefined, "Another user has this email or phone"]);
  const elsewhere = (await project()).system(UserService);
  expect((await elsewhere.upsertUser({ externalId: "x", user: { email: "second@example.org" } })).created).toBe(true);
});

test("a user has at most 20 addresses", async () => {
  const users = (await project()).system(UserService);
  await users.upsertUser({ externalId: "alice" });
  for (let i = 0; i < 20; i++) await users.addLocator({ ref: alice, locator: phone(`+49301234${i + 10}`) });
  const more = await refusalOf(users.addLocator({ ref: alice, locator: email("a@example.org") }));
  expect(more).toMatchObject({ reason: "REQUEST_INVALID", fields: ["locators"] });
  expect(await reasonOf(users.updateUser({ ref: alice, user: { email: "a@example.org" } }))).toBe("REQUEST_INVALID");
  const { user } = await users.updateUser({ ref: alice, user: { phone: "+4930999999" } });
  expect(user?.locators).toHaveLength(20);
});

test("a user adds and removes its own addresses, unverified, sees them alone, and touches nobody else's", async () => {
  const { system, signedInUser } = await project();
  const own = app.client(UserService, (await signedInUser("alice")).token);
  const other = app.client(UserService, (await signedInUser("bob")).token);
  expect(linesOf((await own.addLocator({ ref: me, locator: email("a@example.org") })).user)).toEqual([
    "a@example.org*",
  ]);
  const verified = { ...email("b@example.org"), verified: true };
  expect(await refusalOf(own.addLocator({ ref: me, locator: verified }))).toMatchObject({
    reason: "PRINCIPAL_NOT_ALLOWED",
    metadata: { field: "locator.verified" },
  });
  expect((await own.getUser({ ref: me })).user?.locators).toHaveLength(1);
  expect((await other.getUser({ ref: alice })).user).toMatchObject({ locators: [], email: "" });
  expect(await reasonOf(other.addLocator({ ref: alice, locator: email("c@example.org") }))).toBe(
    "PRINCIPAL_NOT_ALLOWED",
  );
  expect(await reasonOf(other.removeLocator({ ref: alice, locator: email("a@example.org") }))).toBe(
    "PRINCIPAL_NOT_ALLOWED",
  );
  const nobody = app.client(UserService);
  expect(await reasonOf(nobody.addLocator({ ref: alice, locator: email("c@example.org") }))).toBe("CREDENTIAL_MISSING");
  expect(linesOf((await own.removeLocator({ ref: me, locator: email("a@example.org") })).user)).toEqual([]);
  expect(await reasonOf(system(UserService).addLocator({ ref: me, locator: email("c@example.org") }))).toBe(
    "RESERVED_USER",
  );
});

test("`user.created` shows the addresses", async () => {
  const { id, system } = await project();
  const { user } = await system(UserService).upsertUser({ user: { email: "a@example.org", phone: "+4930123456" } });
  const [event] = await settledUserEvents(db, id);
  expect(fromJson(UserCreatedEventSchema, event?.data as never).user?.locators).toEqual(user?.locators);
});

test("of many users that race for one address one gets it, whichever way they take", async () => {
  const users = (await project()).system(UserService);
  const names = Array.from({ length: 24 }, (_, i) => `u${i}`);
  await users.batchUpsertUsers({ users: names.map((externalId) => ({ externalId })) });
  const locator = email("one@example.org");
  const attempts = await Promise.allSettled(
    names.map((name, i) => {
      const ref = external(name);
      if (i % 3 === 0) return users.addLocator({ ref, locator });
      if (i % 3 === 1) return users.updateUser({ ref, user: { email: locator.value } });
      return users.upsertUser({ externalId: name, user: { email: locator.value } });
    }),
  );
  expect(attempts.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  const failed = attempts.filter((attempt) => attempt.status === "rejected");
  const reasons = await Promise.all(failed.map(({ reason }) => reasonOf(Promise.reject(reason as Error))));
  expect(new Set(reasons)).toEqual(new Set(["LOCATOR_TAKEN"]));
});

test("fifty racing primary emails of one user leave one of them, and the others free", async () => {
  const users = (await project()).system(UserService);
  await users.upsertUser({ externalId: "alice", user: { email: "start@example.org" } });
  await Promise.all(
    Array.from({ length: 50 }, (_, i) => {
      const user = { email: `e${i}@example.org` };
      return i % 2 ? users.updateUser({ ref: alice, user }) : users.upsertUser({ externalId: "alice", user });
    }),
  );
  const { user } = await users.getUser({ ref: alice });
  expect(linesOf(user)).toEqual([`${user?.email}*`]);
  const free = Array.from({ length: 50 }, (_, i) => `e${i}@example.org`).filter((value) => value !== user?.email);
  const { results } = await users.batchUpsertUsers({ users: free.map((value) => ({ user: { email: value } })) });
  expect(results.filter(({ error }) => error)).toEqual([]);
});

test("racing adds, removals and primaries of one user are all there in the end", async () => {
  const users = (await project()).system(UserService);
  await users.upsertUser({ externalId: "alice", user: { email: "0@example.org" } });
  await Promise.all([
    ...Array.from({ length: 10 }, (_, i) => users.addLocator({ ref: alice, locator: email(`add${i}@example.org`) })),
    ...Array.from({ length: 10 }, (_, i) => users.updateUser({ ref: alice, user: { email: `p${i}@example.org` } })),
    users.removeLocator({ ref: alice, locator: email("0@example.org") }).catch(() => {}),
  ]);
  const { user } = await users.getUser({ ref: alice });
  const added = user?.locators.filter(({ value }) => value.startsWith("add"));
  expect(added).toHaveLength(10);
  expect(user?.locators.filter(({ primary }) => primary)).toHaveLength(1);
});

test("two users that swap their emails at one moment end with one each", async () => {
  const users = (await project()).system(UserService);
  for (let round = 0; round < 10; round++) {
    await users.upsertUser({ externalId: "alice", user: { email: `a${round}@example.org` } });
    await users.upsertUser({ externalId: "bob", user: { email: `b${round}@example.org` } });
    await Promise.allSettled([
      users.upsertUser({ externalId: "alice", user: { email: `b${round}@example.org` } }),
      users.upsertUser({ externalId: "bob", user: { email: `a${round}@example.org` } }),
    ]);
    const { users: both } = await users.batchGetUsers({ refs: [alice, external("bob")] });
    expect(new Set(both.map((user) => user.email)).size).toBe(2);
  }
});
