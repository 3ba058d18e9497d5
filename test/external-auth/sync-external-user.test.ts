import { describe, expect, test } from "vitest";
import type { ProjectSettings } from "../../src/gen/muster/v1/project_pb.ts";
import { LocatorType, type User } from "../../src/gen/muster/v1/user_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { projectWithKey } from "./external-fixture.ts";

const app = await startApp();
const own = await projectWithKey(app);
const users = own.project.system(UserService);
const refTo = (value: string) => ({ ref: { case: "externalId", value } }) as const;
const PROFILE = {
  ...{ email: "ada@example.org", email_verified: true, phone: "+4930901820", phone_verified: true },
  ...{ name: "Ada", username: "ada", avatar: "https://example.org/a.png", bio: "x", website: "https://example.org" },
  ...{ birthdate: "1815-12-10", time_zone: "Europe/London", location: { type: "Point", coordinates: [-0.1, 51.5] } },
  ...{ metadata: { a: [1, { b: null }] }, secureMetadata: { c: "d" } },
};

/** What the database has of a project's users and events: nothing was written where it stays as it is. */
async function written(projectId: string) {
  const { rows } = await app.db.pool.query(
    `select (select json_agg(row_to_json(u) order by id) from users u where project_id = $1)::text as users,
      (select json_agg(array[ctid::text, xmin::text] order by id) from users where project_id = $1)::text as versions,
      (select count(*) from events where project_id = $1 and type like 'user.%') as events`,
    [projectId],
  );
  return rows[0];
}

async function eventsOf(projectId: string, type: string) {
  const { rows } = await app.db.pool.query<{ user_id: string; data: Record<string, unknown> }>(
    "select user_id, data from events where project_id = $1 and type = $2",
    [projectId, type],
  );
  return rows;
}

describe("a profile", () => {
  test("is synced whole at the first time, and by what changed later on", async () => {
    const { user } = await own.signIn("ada", PROFILE);
    expect(user).toMatchObject({
      ...{ email: "ada@example.org", emailVerified: true, phone: "+4930901820", phoneVerified: true },
      ...{ login: "ada", name: "Ada", avatarUrl: "https://example.org/a.png", timeZone: "Europe/London" },
      ...{ birthdate: { year: 1815, month: 12, day: 10 }, location: { latitude: 51.5, longitude: -0.1 } },
      ...{ metadata: { a: [1, { b: null }] }, privateMetadata: { c: "d" } },
    });
    await app.clock.advance(1_000);
    const changed = await own.signIn("ada", { name: "Ada L.", bio: null, metadata: { z: 1 } });
    expect(changed.user).toMatchObject({ name: "Ada L.", bio: "", metadata: { z: 1 }, website: "https://example.org" });
    expect(changed.user?.etag).toBe("v2");
  });

  test("that is as it was is not written: no event, no time, no version, no row", async () => {
    await own.signIn("still", { ...PROFILE, email: "still@example.org", phone: null, username: "still" });
    const before = await written(own.project.id);
    await app.clock.advance(60_000);
    const { user } = await own.signIn("still", {
      ...PROFILE,
      email: "still@example.org",
      phone: null,
      username: "still",
    });
    await own.signIn("still");
    expect(await written(own.project.id)).toEqual(before);
    expect(user?.etag).toBe("v1");
  });

  test("that changed is written once, by however many sign-ins at the same time", async () => {
    await own.signIn("busy", { name: "Before" });
    await Promise.all(Array.from({ length: 20 }, () => own.signIn("busy", { name: "After" })));
    const { user } = await users.getUser({ ref: refTo("busy") });
    expect([user?.name, user?.etag]).toEqual(["After", "v2"]);
  });

  test("of somebody new is made once, with one event, by twenty first sign-ins at once", async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, () => own.signIn("race", { email: "race@example.org" })),
    );
    expect(new Set(outcomes.map(({ user }) => user?.id)).size).toBe(1);
    expect(outcomes.filter(({ userCreated }) => userCreated)).toHaveLength(1);
    const created = await eventsOf(own.project.id, "user.created");
    expect(created.filter(({ user_id }) => user_id === outcomes[0]?.user?.id)).toHaveLength(1);
  });

  test("of a user that was deleted is that of a new one", async () => {
    const { user } = await own.signIn("back", { name: "Before" });
    await users.deleteUser({ ref: refTo("back") });
    const again = await own.signIn("back");
    expect([again.userCreated, again.user?.name]).toEqual([true, ""]);
    expect(again.user?.id).not.toBe(user?.id);
  });

  test("whose username another user has is refused, for a new user and for a known one", async () => {
    await own.signIn("holder", { username: "corn" });
    expect(await reasonOf(own.signIn("other", { username: "Corn" }))).toBe("LOGIN_TAKEN");
    expect(await reasonOf(users.getUser({ ref: refTo("other") }))).toBe("USER_NOT_FOUND");
    await own.signIn("other");
    expect(await reasonOf(own.signIn("other", { username: "corn" }))).toBe("LOGIN_TAKEN");
  });
});

/** A project, and what it has of users beside external ones. */
async function withUsers(settings: Partial<ProjectSettings> = {}) {
  const project = await projectWithKey(app, settings);
  const roll = project.project.system(UserService);
  const made = async (externalId: string, user: Record<string, unknown>) =>
    (await roll.upsertUser({ externalId, user })).user as User;
  return { ...project, roll, made };
}

const LINKING = { linkByVerifiedEmail: true };
const EMAIL = { email: "ada@example.org", email_verified: true };
const VERIFIED = { email: "ada@example.org", emailVerified: true };

describe("an email that another user holds", () => {
  test.each<[string, Partial<ProjectSettings>, Record<string, unknown>, Record<string, unknown>]>([
    ["the project does not link", {}, VERIFIED, EMAIL],
    ["the holder has not verified it", LINKING, { email: "ada@example.org" }, EMAIL],
    ["the JWT does not say that it is verified", LINKING, VERIFIED, { email: "ada@example.org" }],
    ["the JWT says that it is not verified", LINKING, VERIFIED, { ...EMAIL, email_verified: false }],
  ])(
    "is left out where %s: there is a separate user, now and at each further sign-in",
    async (_, settings, holder, claims) => {
      const { signIn, made, roll, project } = await withUsers(settings);
      const { id } = await made("", holder);
      const { user, userCreated } = await signIn("ada", { ...claims, name: "Ada" });
      expect([user?.email, user?.emailVerified, user?.name, userCreated]).toEqual(["", false, "Ada", true]);
      expect(user?.id).not.toBe(id);
      const again = await signIn("ada", { ...claims, name: "Ada L." });
      expect([again.user?.id, again.user?.name, again.userCreated]).toEqual([user?.id, "Ada L.", false]);
      const held = (await roll.getUser({ ref: { ref: { case: "email", value: "ada@example.org" } } })).user;
      expect([held?.id, held?.externalId]).toEqual([id, id]);
      expect(await eventsOf(project.id, "identity.linked")).toEqual([]);
    },
  );

  test("is left out of a known user, whose own email stays as it is", async () => {
    const { signIn, made } = await withUsers();
    await signIn("ada", { email: "own@example.org", email_verified: false });
    await made("", VERIFIED);
    const { user } = await signIn("ada", { ...EMAIL, name: "Ada" });
    expect([user?.email, user?.emailVerified, user?.name]).toEqual(["own@example.org", false, "Ada"]);
  });

  test("makes the subject its holder's external id where all three conditions hold, with one `identity.linked`", async () => {
    const { signIn, made, project } = await withUsers(LINKING);
    const { id } = await made("", { ...VERIFIED, name: "Local" });
    const { user, userCreated } = await signIn("ada", { ...EMAIL, email: "Ada@Example.org", bio: "x" });
    expect([user?.id, user?.externalId, user?.name, user?.bio, userCreated]).toEqual([id, "ada", "Local", "x", false]);
    const events = await eventsOf(project.id, "identity.linked");
    expect(events.map(({ data }) => data)).toEqual([{ user_id: id, external_id: "ada", subject: "ada" }]);
    expect((await signIn("ada", EMAIL)).user?.id).toBe(id);
    expect(await eventsOf(project.id, "identity.linked")).toHaveLength(1);
  });

  test("links by an email that is not the holder's primary one, and makes a full user of a guest", async () => {
    const { signIn, made, roll } = await withUsers(LINKING);
    const { id } = await made("", { email: "first@example.org" });
    const locator = { type: LocatorType.EMAIL, value: "ada@example.org", verified: true };
    await roll.addLocator({ ref: { ref: { case: "id", value: id } }, locator });
    await app.db.pool.query("update users set guest = true where id = $1", [id]);
    const { user } = await signIn("ada", EMAIL);
    expect([user?.id, user?.guest]).toEqual([id, false]);
  });

  test("is linked once by twenty first sign-ins at the same time", async () => {
    const { signIn, made, project } = await withUsers(LINKING);
    const { id } = await made("", VERIFIED);
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => signIn("ada", EMAIL)));
    expect(new Set(outcomes.map(({ user }) => user?.id))).toEqual(new Set([id]));
    expect(outcomes.filter(({ userCreated }) => userCreated)).toEqual([]);
    expect(await eventsOf(project.id, "identity.linked")).toHaveLength(1);
  });

  test("is contested where the subject is a user already", async () => {
    const { signIn, made, roll } = await withUsers(LINKING);
    await signIn("ada");
    const { id } = await made("", VERIFIED);
    expect(await reasonOf(signIn("ada", { ...EMAIL, name: "Ada" }))).toBe("IDENTITY_CONFLICT");
    expect((await roll.getUser({ ref: refTo("ada") })).user?.name).toBe("");
    expect((await roll.getUser({ ref: refTo(id) })).user?.email).toBe("ada@example.org");
  });

  test("is contested where the holder has an external id of its own", async () => {
    const { signIn, made, roll } = await withUsers(LINKING);
    await made("somebody", VERIFIED);
    expect(await reasonOf(signIn("ada", EMAIL))).toBe("IDENTITY_CONFLICT");
    expect(await reasonOf(roll.getUser({ ref: refTo("ada") }))).toBe("USER_NOT_FOUND");
  });

  test("is fought for by two subjects: one gets it, the other is contested", async () => {
    const { signIn, made } = await withUsers(LINKING);
    const { id } = await made("", VERIFIED);
    const outcomes = await Promise.all(
      ["one", "two"].map((sub) =>
        signIn(sub, EMAIL).then(
          ({ user }) => user?.id,
          (error: unknown) => reasonOf(Promise.reject(error as Error)),
        ),
      ),
    );
    expect(outcomes.toSorted((a = "", b = "") => a.localeCompare(b))).toEqual([id, "IDENTITY_CONFLICT"]);
  });
});

test("a phone that another user holds, verified or not, is left out like an email", async () => {
  const { signIn, made } = await withUsers(LINKING);
  await made("", { phone: "+4930901820", phoneVerified: true });
  const claims = { phone: "+4930901820", phone_verified: true, ...EMAIL };
  const { user } = await signIn("ada", claims);
  expect([user?.phone, user?.phoneVerified, user?.email]).toEqual(["", false, "ada@example.org"]);
  await made("", { email: "both@example.org" });
  const both = await signIn("bob", { ...claims, email: "both@example.org" });
  expect([both.user?.phone, both.user?.email, both.userCreated]).toEqual(["", "", true]);
});

test("who squats an email that is not verified locks nobody out", async () => {
  const { signIn, made } = await withUsers(LINKING);
  await signIn("ada", { name: "Ada" });
  await made("", { email: "ada@example.org" });
  const { user } = await signIn("ada", EMAIL);
  expect([user?.name, user?.email]).toEqual(["Ada", ""]);
});
