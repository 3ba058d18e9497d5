import { describe, expect, test } from "vitest";
import { ExternalAuthService } from "../../src/gen/muster/v1/external_auth_service_pb.ts";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import {
  ALLOWED,
  addProvider,
  byId,
  credentialOf,
  eventsOf,
  type Facts,
  identitiesOf,
  signIn,
} from "./identities-fixture.ts";

const app = await startApp({ config: ALLOWED });
const { client } = app;
const own = await app.project();
await addProvider(own);
const ME = { ref: { case: "me", value: true } } as const;
const DAY = 86_400_000;

/** A user of its own, with a client that calls as it. */
async function newUser() {
  const { id, token } = await own.signedInUser();
  return { id, identities: client(ExternalAuthService, token) };
}
const byCredential = (facts: Facts) => ({ case: "credential", value: credentialOf(facts) }) as const;
const bySubject = (value: string) => ({ case: "subject", value }) as const;

describe("a user links an identity by a credential", () => {
  test("and signs in by it from then on; the profile stays as it is", async () => {
    const { id, identities } = await newUser();
    const facts = { subject: "mine", email: "mine@example.org", email_verified: true, name: "Theirs" };
    const { identity } = await identities.linkIdentity({ ref: ME, provider: "acme", proof: byCredential(facts) });
    expect(identity).toMatchObject({
      provider: "acme",
      subject: "mine",
      userId: id,
      email: "mine@example.org",
      emailVerified: true,
    });
    expect(identity?.lastSignInTime).toBeUndefined();
    expect((await identities.listIdentities({ ref: ME })).identities).toEqual([identity]);
    const answer = await signIn(app, own, facts);
    expect(answer).toMatchObject({ userCreated: false, user: { id, name: "", email: "" } });
  });

  test("again, and nothing changes", async () => {
    const project = await app.project();
    await addProvider(project);
    const { token } = await project.signedInUser();
    const identities = client(ExternalAuthService, token);
    const link = (facts: Facts) => identities.linkIdentity({ ref: ME, provider: "acme", proof: byCredential(facts) });
    const first = await link({ subject: "twice" });
    expect(await link({ subject: "twice", email: "late@example.org" })).toEqual(first);
    expect(await eventsOf(app, project)).toEqual(["user.created", "identity.linked"]);
  });

  test("not for another user, and not by a subject alone", async () => {
    const [{ id }, { identities }] = [await newUser(), await newUser()];
    const theirs = { ref: byId(id), provider: "acme", proof: byCredential({ subject: "for another" }) };
    expect(await reasonOf(identities.linkIdentity(theirs))).toBe("PRINCIPAL_NOT_ALLOWED");
    expect(await reasonOf(identities.listIdentities({ ref: byId(id) }))).toBe("PRINCIPAL_NOT_ALLOWED");
    const unproven = { ref: ME, provider: "acme", proof: bySubject("unproven") };
    expect(await reasonOf(identities.linkIdentity(unproven))).toBe("PRINCIPAL_NOT_ALLOWED");
  });

  test("that has to hold, of a provider that has to be there", async () => {
    const { identities } = await newUser();
    const refused = { ref: ME, provider: "acme", proof: byCredential({ subject: "" }) };
    expect(await reasonOf(identities.linkIdentity(refused))).toBe("EXTERNAL_JWT_INVALID");
    const nowhere = { ref: ME, provider: "nobody", proof: byCredential({ subject: "a" }) };
    expect(await reasonOf(identities.linkIdentity(nowhere))).toBe("PROVIDER_NOT_FOUND");
    expect((await refusalOf(identities.linkIdentity({ ref: ME, provider: "acme" }))).reason).toBe("REQUEST_INVALID");
  });
});

describe("`.system` links an identity by its subject", () => {
  const system = own.system(ExternalAuthService);

  test("to any user of its project, and users are told that they are not there or not any more", async () => {
    const { id } = await newUser();
    const { identity } = await system.linkIdentity({ ref: byId(id), provider: "acme", proof: bySubject("imported") });
    expect(identity).toMatchObject({ userId: id, subject: "imported", email: "", emailVerified: false });
    expect((await signIn(app, own, { subject: "imported" })).user?.id).toBe(id);
    await own.system(UserService).deleteUser({ ref: byId(id) });
    const again = { ref: byId(id), provider: "acme", proof: bySubject("imported") };
    expect(await reasonOf(system.linkIdentity(again))).toBe("USER_DELETED");
    expect(await reasonOf(system.listIdentities({ ref: byId(id) }))).toBe("USER_DELETED");
    const unknown = { ref: { case: "externalId", value: "unknown" } } as const;
    expect(await reasonOf(system.linkIdentity({ ...again, ref: unknown }))).toBe("USER_NOT_FOUND");
    expect(await reasonOf(system.listIdentities({ ref: unknown }))).toBe("USER_NOT_FOUND");
  });

  test("also while the provider is disabled, and not if there is none", async () => {
    const { id } = await newUser();
    const nowhere = { ref: byId(id), provider: "nobody", proof: bySubject("x") };
    expect(await reasonOf(system.linkIdentity(nowhere))).toBe("PROVIDER_NOT_FOUND");
    await addProvider(own, "later", { disabled: true });
    const before = { ref: byId(id), provider: "later", proof: bySubject("x") };
    expect((await system.linkIdentity(before)).identity?.subject).toBe("x");
    expect(await reasonOf(signIn(app, own, { subject: "x" }, "later"))).toBe("PROVIDER_NOT_FOUND");
  });
});

test("an identity that another user has is IDENTITY_TAKEN", async () => {
  const [one, other] = [await newUser(), await newUser()];
  const request = { ref: ME, provider: "acme", proof: byCredential({ subject: "wanted" }) };
  await one.identities.linkIdentity(request);
  expect(await reasonOf(other.identities.linkIdentity(request))).toBe("IDENTITY_TAKEN");
});

test("of two users that link one identity at once, time and again, one has it", async () => {
  const users = await Promise.all([newUser(), newUser()]);
  for (let round = 0; round < 10; round++) {
    const request = { ref: ME, provider: "acme", proof: byCredential({ subject: `raced ${round}` }) };
    const outcomes = await Promise.all(
      [...users, ...users].map(({ id, identities }) =>
        identities.linkIdentity(request).then(
          () => id,
          (error: unknown) => reasonOf(Promise.reject(error as Error)),
        ),
      ),
    );
    const winner = outcomes.find((it) => it !== "IDENTITY_TAKEN");
    const expected = users.map(({ id }) => (id === winner ? id : "IDENTITY_TAKEN"));
    expect(outcomes).toEqual([...expected, ...expected]);
  }
});

test("thirty identities at once leave a user with twenty", async () => {
  const { id, identities } = await newUser();
  const link = (n: number) =>
    identities.linkIdentity({ ref: ME, provider: "acme", proof: byCredential({ subject: `${id} ${n}` }) });
  const outcomes = await Promise.all(
    Array.from({ length: 30 }, (_, n) =>
      link(n).then(
        () => "linked",
        (error: Error) => reasonOf(Promise.reject(error)),
      ),
    ),
  );
  expect(outcomes.filter((it) => it === "linked")).toHaveLength(20);
  expect(outcomes.filter((it) => it === "IDENTITIES_FULL")).toHaveLength(10);
  expect(await identitiesOf(own, id)).toHaveLength(20);
  const first = (await identitiesOf(own, id))[0]?.subject ?? "";
  const again = { ref: ME, provider: "acme", proof: byCredential({ subject: first }) };
  expect((await identities.linkIdentity(again)).identity?.subject).toBe(first);
});

test("identities are listed in the order they were linked", async () => {
  const { id, identities } = await newUser();
  const subjects = ["z", "m", "a"].map((it) => `${id} ${it}`);
  for (const subject of subjects) {
    await identities.linkIdentity({ ref: ME, provider: "acme", proof: byCredential({ subject }) });
    await app.clock.advance(1);
  }
  expect((await identitiesOf(own, id)).map(({ subject }) => subject)).toEqual(subjects);
});

test("a guest that links an identity is a full user: it keeps its id and its session, and is there after the day of guests", async () => {
  const request = { projectId: own.id, credential: { case: "guest", value: {} } } as const;
  const { user, grant } = await client(SessionService).createSession(request);
  const guest = {
    identities: client(ExternalAuthService, grant?.sessionToken),
    users: client(UserService, grant?.sessionToken),
  };
  const me = { ref: ME };
  expect((await guest.users.getUser(me)).user?.guest).toBe(true);
  const proof = byCredential({ subject: "once a guest" });
  await guest.identities.linkIdentity({ ...me, provider: "acme", proof });
  const full = (await guest.users.getUser(me)).user;
  expect(full).toMatchObject({ id: user?.id, guest: false });
  expect(full?.etag).not.toBe(user?.etag);
  await app.clock.advance(2 * DAY);
  expect(await signIn(app, own, { subject: "once a guest" })).toMatchObject({
    userCreated: false,
    user: { id: user?.id },
  });
});
