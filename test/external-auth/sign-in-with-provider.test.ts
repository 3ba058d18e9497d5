import { describe, expect, test } from "vitest";
import { ExternalAuthService } from "../../src/gen/muster/v1/external_auth_service_pb.ts";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { holdUsers } from "../support/held-user.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { settledUserEvents } from "../support/settled-events.ts";
import { startApp, type TestProject } from "../support/start-app.ts";
import {
  ALLOWED,
  addProvider,
  byId,
  credentialOf,
  eventsOf,
  identitiesOf,
  outcomeOf,
  signIn,
  usersOf,
} from "./identities-fixture.ts";

const app = await startApp({ config: ALLOWED });
const { client, clock } = app;

async function newProject(settings: Parameters<typeof app.project>[0] = {}): Promise<TestProject> {
  const project = await app.project(settings);
  await addProvider(project);
  return project;
}

const own = await newProject();
const MINUTE = 60_000;

describe("the first sign-in by a provider", () => {
  test("makes a user from what the provider says, without a password, and tells of both in the order they came", async () => {
    const project = await newProject();
    const facts = { subject: "g|1", email: "Ada@Example.org", email_verified: true, name: "Ada" };
    const { user, grant, userCreated } = await signIn(app, project, facts);
    expect(userCreated).toBe(true);
    expect(user).toMatchObject({ name: "Ada", email: "Ada@Example.org", emailVerified: true, guest: false });
    expect(user?.externalId).toBe(user?.id);
    const me = { ref: { ref: { case: "me", value: true } } } as const;
    for (const credential of [grant?.sessionToken, grant?.accessToken])
      expect((await client(UserService, credential).getUser(me)).user?.id).toBe(user?.id);
    expect((await app.db.pool.query("select from passwords where project_id = $1", [project.id])).rowCount).toBe(0);
    const events = await settledUserEvents(app.db, project.id);
    expect(events.map(({ type }) => type)).toEqual(["user.created", "identity.linked", "session.created"]);
    expect(events[1]).toMatchObject({
      userId: user?.id,
      data: { user_id: user?.id, external_id: user?.id, provider: "acme", subject: "g|1" },
    });
  });

  test("twenty times at once makes one user, with one identity, one user.created and one identity.linked", async () => {
    const project = await newProject({ linkByVerifiedEmail: true });
    const facts = { subject: "mob", email: "mob@example.org", email_verified: true, username: "mob" };
    const answers = await Promise.all(Array.from({ length: 20 }, () => signIn(app, project, facts)));
    expect(answers.filter(({ userCreated }) => userCreated)).toHaveLength(1);
    const [id = ""] = new Set(answers.map(({ user }) => user?.id));
    expect(answers.every(({ user }) => user?.id === id)).toBe(true);
    expect(await usersOf(project)).toHaveLength(1);
    expect(await identitiesOf(project, id)).toHaveLength(1);
    expect(await eventsOf(app, project)).toEqual(["user.created", "identity.linked"]);
  });

  test("of different subjects that bring one email, at once, makes a user of each; one of them has the email", async () => {
    const project = await newProject();
    const subjects = Array.from({ length: 10 }, (_, n) => `s${n}`);
    const answers = await Promise.all(
      subjects.map((subject) => signIn(app, project, { subject, email: "one@example.org", email_verified: true })),
    );
    expect(answers.every(({ userCreated }) => userCreated)).toBe(true);
    expect(answers.filter(({ user }) => user?.email === "one@example.org")).toHaveLength(1);
    expect(await usersOf(project)).toHaveLength(10);
  });

  test("is refused with what the rules of a profile or another's login are against, and makes nothing", async () => {
    const project = await newProject();
    await project.system(UserService).upsertUser({ externalId: "holder", user: { login: "grace" } });
    expect(await reasonOf(signIn(app, project, { subject: "1", username: "Grace" }))).toBe("LOGIN_TAKEN");
    const { reason, fields } = await refusalOf(signIn(app, project, { subject: "1", username: "admin" }));
    expect([reason, fields]).toEqual(["REQUEST_INVALID", ["credential.username"]]);
    expect(await usersOf(project)).toHaveLength(1);
    expect((await signIn(app, project, { subject: "1" })).userCreated).toBe(true);
  });

  test("leaves out an email that another user has, verified or not", async () => {
    const project = await newProject();
    const users = project.system(UserService);
    await users.upsertUser({ externalId: "a", user: { email: "a@example.org" } });
    await users.upsertUser({ externalId: "b", user: { email: "b@example.org", emailVerified: true } });
    for (const email of ["a@example.org", "B@example.org"]) {
      const { user, userCreated } = await signIn(app, project, { subject: email, email, email_verified: true });
      expect([userCreated, user?.email, user?.emailVerified, user?.locators]).toEqual([true, "", false, []]);
      const [identity] = await identitiesOf(project, user?.id ?? "");
      expect(identity).toMatchObject({ email, emailVerified: true });
    }
  });
});

describe("a sign-in by an identity that is known", () => {
  test("signs in its user and leaves its profile as it is; what the provider says now is kept with the identity", async () => {
    const { user } = await signIn(app, own, { subject: "back", email: "old@example.org", name: "Old" });
    await own.system(UserService).updateUser({ ref: byId(user?.id ?? ""), user: { name: "My own name" } });
    const next = { subject: "back", email: "new@example.org", email_verified: true, name: "New" };
    const again = await signIn(app, own, next);
    expect(again).toMatchObject({
      userCreated: false,
      user: { id: user?.id, name: "My own name", email: "old@example.org", emailVerified: false },
    });
    const [identity] = await identitiesOf(own, user?.id ?? "");
    expect(identity).toMatchObject({ email: "new@example.org", emailVerified: true });
    await signIn(app, own, { subject: "back" });
    expect((await identitiesOf(own, user?.id ?? ""))[0]).toMatchObject({ email: "", emailVerified: false });
  });

  test("is written down at most once a minute", async () => {
    const facts = { subject: "often", email: "often@example.org" };
    const { user } = await signIn(app, own, facts);
    const last = async () => {
      const [identity] = await identitiesOf(own, user?.id ?? "");
      return Number(identity?.lastSignInTime?.seconds) * 1_000;
    };
    const first = clock.now();
    expect(await last()).toBe(first);
    await clock.advance(MINUTE - 1_000);
    await signIn(app, own, facts);
    expect(await last()).toBe(first);
    await clock.advance(1_000);
    await signIn(app, own, facts);
    expect(await last()).toBe(first + MINUTE);
  });

  test("compares subjects byte by byte, and knows those of other providers and projects apart", async () => {
    const project = await newProject();
    await addProvider(project, "other");
    const composed = "\u00e9";
    const ids = new Set<string | undefined>();
    for (const subject of ["a", "A", "a ", composed, composed.normalize("NFD")])
      ids.add((await signIn(app, project, { subject })).user?.id);
    ids.add((await signIn(app, project, { subject: "a" }, "other")).user?.id);
    const elsewhere = await newProject();
    ids.add((await signIn(app, elsewhere, { subject: "a" })).user?.id);
    expect(ids.size).toBe(7);
    expect(ids.has((await signIn(app, project, { subject: "a" })).user?.id)).toBe(true);
  });
});

describe("a user that is suspended", () => {
  test("is not signed in by its identity, and nothing is written", async () => {
    const { user } = await signIn(app, own, { subject: "held" });
    const ref = byId(user?.id ?? "");
    await own.system(UserService).suspendUser({ ref, suspension: { reason: "Spam", blocksSignIn: true } });
    await clock.advance(2 * MINUTE);
    const before = await identitiesOf(own, user?.id ?? "");
    const facts = { subject: "held", email: "held@example.org" };
    expect(await reasonOf(signIn(app, own, facts))).toBe("USER_SUSPENDED");
    expect(await identitiesOf(own, user?.id ?? "")).toEqual(before);
  });

  test("is signed in where the suspension does not block that, and the answer tells of it", async () => {
    const { user } = await signIn(app, own, { subject: "warned" });
    const ref = byId(user?.id ?? "");
    await own.system(UserService).suspendUser({ ref, suspension: { reason: "Rude" } });
    const again = await signIn(app, own, { subject: "warned" });
    expect(again.user?.suspensions.map(({ reason }) => reason)).toEqual(["Rude"]);
  });

  test("is not passed by with another identity that has its email: none is linked, and no user is made", async () => {
    const project = await newProject({ linkByVerifiedEmail: true });
    const { user } = await project.system(UserService).upsertUser({
      externalId: "banned",
      user: { email: "banned@example.org", emailVerified: true },
    });
    await project.system(UserService).suspendUser({ ref: byId(user?.id ?? ""), suspension: { blocksSignIn: true } });
    const facts = { subject: "fresh", email: "banned@example.org", email_verified: true };
    expect(await reasonOf(signIn(app, project, facts))).toBe("USER_SUSPENDED");
    expect(await usersOf(project)).toHaveLength(1);
    expect(await identitiesOf(project, user?.id ?? "")).toEqual([]);
  });
});

describe("a user that is deleted", () => {
  test("takes its identity with it: the next sign-in makes another user", async () => {
    const project = await newProject();
    const { user } = await signIn(app, project, { subject: "gone" });
    await project.system(UserService).deleteUser({ ref: byId(user?.id ?? "") });
    const again = await signIn(app, project, { subject: "gone" });
    expect(again.userCreated).toBe(true);
    expect(again.user?.id).not.toBe(user?.id);
    const types = ["user.created", "identity.linked", "user.deleted", "user.created", "identity.linked"];
    expect(await eventsOf(app, project)).toEqual(types);
  });

  test("in the same moment is USER_NOT_FOUND, and gets no session", async () => {
    const project = await newProject();
    const facts = { subject: "going" };
    const { user } = await signIn(app, project, facts);
    const held = await holdUsers(app.db.address, project.id);
    const deleting = project.system(UserService).deleteUser({ ref: byId(user?.id ?? "") });
    await expect.poll(held.waiting).toBe(1);
    const signingIn = reasonOf(signIn(app, project, facts));
    await expect.poll(held.waiting).toBe(2);
    await held.release();
    await deleting;
    expect(await signingIn).toBe("USER_NOT_FOUND");
    expect((await signIn(app, project, facts)).userCreated).toBe(true);
  });

  test("again and again, while it signs in, leaves one user per sign-in that was answered, each with its identity", async () => {
    const project = await newProject();
    const users = project.system(UserService);
    const round = async () => {
      const there = await usersOf(project);
      const calls = Array.from({ length: 6 }, () => outcomeOf(signIn(app, project, { subject: "flicker" })));
      await Promise.allSettled(there.map(({ id }) => users.deleteUser({ ref: byId(id) })));
      const refused = (await Promise.all(calls)).filter((outcome) => /^[A-Z_]+$/.test(outcome));
      expect(new Set(["USER_NOT_FOUND", ...refused]).size).toBe(1);
    };
    for (let n = 0; n < 6; n++) await round();
    const left = await usersOf(project);
    expect(left.length).toBeLessThanOrEqual(1);
    const linked = await Promise.all(left.map(({ id }) => identitiesOf(project, id)));
    expect(linked.flat()).toHaveLength(left.length);
    const events = await eventsOf(app, project);
    const count = (type: string) => events.filter((it) => it === type).length;
    expect(count("identity.linked")).toBe(count("user.created"));
    expect(count("user.deleted")).toBe(count("user.created") - left.length);
  });
});

test("a credential that the provider refuses, a provider and a project that are not there are refused", async () => {
  expect(await reasonOf(signIn(app, own, { subject: "" }))).toBe("EXTERNAL_JWT_INVALID");
  expect(await reasonOf(signIn(app, own, { subject: "a" }, "nobody"))).toBe("PROVIDER_NOT_FOUND");
  const nowhere = { ...own, id: "00000000-0000-7000-8000-000000000000" };
  expect(await reasonOf(signIn(app, nowhere, { subject: "a" }))).toBe("PROJECT_NOT_FOUND");
});

test("a guest that signs in by a provider becomes the user of the identity, and leaves the guest behind", async () => {
  const request = { projectId: own.id, credential: { case: "guest", value: {} } } as const;
  const guest = await client(SessionService).createSession(request);
  const asGuest = client(ExternalAuthService, guest.grant?.sessionToken);
  const answer = await asGuest.signInWithProvider({
    provider: "acme",
    credential: credentialOf({ subject: "ex-guest" }),
  });
  expect([answer.userCreated, answer.user?.id === guest.user?.id]).toEqual([true, false]);
});

test("an answer with cookies alone is for pages that are given them", async () => {
  const request = {
    projectId: own.id,
    provider: "acme",
    credential: credentialOf({ subject: "page" }),
    cookieOnly: true,
  };
  expect(await reasonOf(client(ExternalAuthService).signInWithProvider(request))).toBe("ORIGIN_NOT_ALLOWED");
});
