import { describe, expect, test } from "vitest";
import { ExternalAuthService } from "../../src/gen/muster/v1/external_auth_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { settledEvents } from "../support/settled-events.ts";
import { startApp } from "../support/start-app.ts";
import { ALLOWED, addProvider, byId, identitiesOf, link, setDisabled, signIn } from "./identities-fixture.ts";

const app = await startApp({ config: ALLOWED });
const { client } = app;
const own = await app.project();
for (const provider of ["acme", "other"]) await addProvider(own, provider);
const ME = { ref: { case: "me", value: true } } as const;
const PASSWORD = "correct horse battery";
const count = { users: 0 };

/** A user with identities of the first provider, and a client that calls as it. */
async function userWith(identities: number, project = own) {
  const subjects = Array.from({ length: identities }, (_, n) => `${count.users}-${n}`);
  count.users++;
  const { user, grant } = await signIn(app, project, { subject: subjects[0] ?? "" });
  const id = user?.id ?? "";
  for (const value of subjects.slice(1))
    await project
      .system(ExternalAuthService)
      .linkIdentity({ ref: byId(id), provider: "acme", proof: { case: "subject", value } });
  return { id, subjects, session: grant?.sessionToken ?? "", itself: client(ExternalAuthService, grant?.sessionToken) };
}

test("a user unlinks an identity: nobody signs in as it by that any more, its sessions go on", async () => {
  const { id, subjects, itself, session } = await userWith(2);
  const [subject = "", rest = ""] = subjects;
  await itself.unlinkIdentity({ ref: ME, provider: "acme", subject });
  expect((await identitiesOf(own, id)).map((it) => it.subject)).toEqual([rest]);
  expect((await client(UserService, session).getUser({ ref: ME })).user?.id).toBe(id);
  const next = await signIn(app, own, { subject });
  expect([next.userCreated, next.user?.id === id]).toEqual([true, false]);
  const told = (await settledEvents(app.db, own.id)).filter(
    ({ type, userId }) => type === "identity.unlinked" && userId === id,
  );
  expect(told.map(({ data }) => data)).toEqual([{ user_id: id, external_id: id, provider: "acme", subject }]);
});

test("what a user does not have is unlinked already: unknown, of another user, or unlinked before", async () => {
  const [one, other] = [await userWith(2), await userWith(1)];
  const unlink = (subject: string, provider = "acme") => one.itself.unlinkIdentity({ ref: ME, provider, subject });
  await unlink("unknown");
  await unlink(other.subjects[0] ?? "");
  await unlink("", "other");
  await unlink("x", "never made");
  expect(await identitiesOf(own, other.id)).toHaveLength(1);
  await unlink(one.subjects[0] ?? "");
  await unlink(one.subjects[0] ?? "");
  expect(await identitiesOf(own, one.id)).toHaveLength(1);
  const ended = await settledEvents(app.db, own.id);
  expect(ended.filter(({ type, userId }) => type === "identity.unlinked" && userId === one.id)).toHaveLength(1);
});

test("without a subject it is the only one of the provider that is meant", async () => {
  const { id, subjects, itself } = await userWith(2);
  const { reason, fields } = await refusalOf(itself.unlinkIdentity({ ref: ME, provider: "acme" }));
  expect([reason, fields]).toEqual(["REQUEST_INVALID", ["subject"]]);
  const proof = { case: "subject", value: subjects[0] ?? "" } as const;
  await own.system(ExternalAuthService).linkIdentity({ ref: byId(id), provider: "other", proof });
  await itself.unlinkIdentity({ ref: ME, provider: "other" });
  expect((await identitiesOf(own, id)).map(({ provider }) => provider)).toEqual(["acme", "acme"]);
});

describe("the last way in is LAST_IDENTITY, for the user and for `.system`:", () => {
  const system = own.system(ExternalAuthService);

  test("the only identity of a user without a password", async () => {
    const { id, itself } = await userWith(1);
    expect(await reasonOf(itself.unlinkIdentity({ ref: ME, provider: "acme" }))).toBe("LAST_IDENTITY");
    expect(await reasonOf(system.unlinkIdentity({ ref: byId(id), provider: "acme" }))).toBe("LAST_IDENTITY");
    expect(await identitiesOf(own, id)).toHaveLength(1);
  });

  test("not with a password, and a login, an email or a phone to give it with", async () => {
    const users = own.system(UserService);
    for (const name of [{ login: "unlinked" }, { email: "unlinked@example.org" }, { phone: "+4930123499" }]) {
      const { id, itself } = await userWith(1);
      const unlink = () => itself.unlinkIdentity({ ref: ME, provider: "acme" });
      await users.updateUser({ ref: byId(id), user: name });
      expect(await reasonOf(unlink())).toBe("LAST_IDENTITY");
      await users.setPassword({ ref: byId(id), password: PASSWORD });
      await unlink();
      expect(await identitiesOf(own, id)).toEqual([]);
    }
    const { id, itself } = await userWith(1);
    await users.setPassword({ ref: byId(id), password: PASSWORD });
    expect(await reasonOf(itself.unlinkIdentity({ ref: ME, provider: "acme" }))).toBe("LAST_IDENTITY");
  });

  test("not with an external id of the project's own that an external key proves; a generated one nobody proves", async () => {
    const project = await app.project();
    await addProvider(project);
    const { id, token } = await project.signedInUser("user_alice");
    await link(project, id, "acme", "alice");
    const unlink = () => client(ExternalAuthService, token).unlinkIdentity({ ref: ME, provider: "acme" });
    expect(await reasonOf(unlink())).toBe("LAST_IDENTITY");
    const key = { case: "generate", value: {} } as const;
    await project.system(ExternalAuthService).rotateExternalKey({ key });
    await app.clock.advance(1_000);
    const generated = await userWith(1, project);
    expect(await reasonOf(generated.itself.unlinkIdentity({ ref: ME, provider: "acme" }))).toBe("LAST_IDENTITY");
    await unlink();
    expect(await identitiesOf(project, id)).toEqual([]);
  });

  test("an identity of a provider that is disabled is no other way in", async () => {
    const project = await app.project();
    await addProvider(project);
    await addProvider(project, "paused");
    const { id, itself } = await userWith(1, project);
    const proof = { case: "subject", value: id } as const;
    await project.system(ExternalAuthService).linkIdentity({ ref: byId(id), provider: "paused", proof });
    await setDisabled(project, "paused", true);
    expect(await reasonOf(itself.unlinkIdentity({ ref: ME, provider: "acme" }))).toBe("LAST_IDENTITY");
    await setDisabled(project, "paused", false);
    await itself.unlinkIdentity({ ref: ME, provider: "acme" });
    expect(await reasonOf(itself.unlinkIdentity({ ref: ME, provider: "paused" }))).toBe("LAST_IDENTITY");
  });
});

test("of two identities that are unlinked at once, time and again, one stays", async () => {
  for (let round = 0; round < 10; round++) {
    const { id, subjects, itself } = await userWith(2);
    const unlinking = subjects.map((subject) => itself.unlinkIdentity({ ref: ME, provider: "acme", subject }));
    const outcomes = await Promise.all(
      unlinking.map((call) =>
        call.then(
          () => "unlinked",
          (error: unknown) => reasonOf(Promise.reject(error as Error)),
        ),
      ),
    );
    expect(outcomes.toSorted()).toEqual(["LAST_IDENTITY", "unlinked"]);
    expect(await identitiesOf(own, id)).toHaveLength(1);
  }
});

test("a user that is not there, or not any more, is told so", async () => {
  const { id } = await userWith(1);
  const system = own.system(ExternalAuthService);
  await own.system(UserService).deleteUser({ ref: byId(id) });
  expect(await reasonOf(system.unlinkIdentity({ ref: byId(id), provider: "acme" }))).toBe("USER_DELETED");
  const nobody = { ref: { case: "externalId", value: "nobody" } } as const;
  expect(await reasonOf(system.unlinkIdentity({ ref: nobody, provider: "acme" }))).toBe("USER_NOT_FOUND");
});
