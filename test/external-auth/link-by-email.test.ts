import { describe, expect, test } from "vitest";
import { LocatorType } from "../../src/gen/muster/v1/user_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { holdUsers } from "../support/held-user.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApp, type TestProject } from "../support/start-app.ts";
import {
  ALLOWED,
  addProvider,
  byId,
  eventsOf,
  identitiesOf,
  outcomeOf,
  signIn,
  usersOf,
} from "./identities-fixture.ts";

const app = await startApp({ config: ALLOWED });
const projects = {
  on: await app.project({ linkByVerifiedEmail: true }),
  off: await app.project({ linkByVerifiedEmail: false }),
};
for (const project of Object.values(projects)) await addProvider(project);

const count = { emails: 0 };
const newEmail = () => `case${count.emails++}@example.org`;

/** A user with an email of its own. */
async function holder(project: TestProject, email: string, emailVerified: boolean): Promise<string> {
  const { user } = await project.system(UserService).upsertUser({ externalId: email, user: { email, emailVerified } });
  return user?.id ?? "";
}

const PROOFS = {
  "an email that it verified": true,
  "an email that it did not verify": false,
  'an email and "true"': "true",
};
const LOCALS = { nobody: undefined, "another user, unverified": false, "another user, verified": true } as const;

/** Every combination; `all` says whether all three conditions hold. */
const CASES = (["on", "off"] as const).flatMap((setting) =>
  Object.entries(PROOFS).flatMap(([proof, verified]) =>
    Object.entries(LOCALS).map(([local, held]) => {
      const all = setting === "on" && verified === true && held === true;
      return { setting, proof, verified, local, held, all };
    }),
  ),
);

describe.each(CASES)("linking is $setting, the provider names $proof, $local has it:", (of) => {
  const project = projects[of.setting];
  const verified = of.verified;

  test(`an identity that nobody has ${of.all ? "is linked to that user" : "makes a user"}`, async () => {
    const email = newEmail();
    const held = of.held === undefined ? undefined : await holder(project, email, of.held);
    const facts = { subject: email, email, email_verified: verified, name: "From the provider" };
    const given =
      held === undefined ? { email, emailVerified: verified === true } : { email: "", emailVerified: false };
    const made = { name: "From the provider", ...given };
    const answer = await signIn(app, project, facts);
    expect(answer).toMatchObject({
      userCreated: !of.all,
      user: of.all ? { externalId: email, name: "", email, emailVerified: true } : made,
    });
    expect(answer.user?.id === held).toBe(of.all);
    const linked = held === undefined ? [] : await identitiesOf(project, held);
    expect(linked.map(({ subject }) => subject)).toEqual(of.all ? [email] : []);
    expect((await signIn(app, project, facts)).user?.id).toBe(answer.user?.id);
  });

  test(`an identity of a third user ${of.all ? "is contested" : "signs in that user"}`, async () => {
    const email = newEmail();
    const { user } = await signIn(app, project, { subject: email });
    const held = of.held === undefined ? undefined : await holder(project, email, of.held);
    const signingIn = signIn(app, project, { subject: email, email, email_verified: verified });
    expect(await outcomeOf(signingIn)).toBe(of.all ? "IDENTITY_CONFLICT" : user?.id);
    expect((await identitiesOf(project, user?.id ?? ""))[0]?.email).toBe(of.all ? "" : email);
    expect(held === undefined ? [] : await identitiesOf(project, held)).toEqual([]);
  });

  test("an identity of the same user signs it in", async () => {
    const email = newEmail();
    const facts = { subject: email, email, email_verified: verified };
    const { user } = await signIn(app, project, { subject: email });
    if (of.held !== undefined)
      await project
        .system(UserService)
        .updateUser({ ref: byId(user?.id ?? ""), user: { email, emailVerified: of.held } });
    expect(await signIn(app, project, facts)).toMatchObject({ userCreated: false, user: { id: user?.id } });
  });
});

test("an email links however it is written, and by any locator that is verified", async () => {
  const { on } = projects;
  const id = await holder(on, "Written@Example.org", true);
  const second = { type: LocatorType.EMAIL, value: "second@example.org", verified: true };
  await on.system(UserService).addLocator({ ref: byId(id), locator: second });
  for (const email of ["wRITTEN@EXAMPLE.ORG", "SECOND@example.org"])
    expect((await signIn(app, on, { subject: email, email, email_verified: true })).user?.id).toBe(id);
  expect(await identitiesOf(on, id)).toHaveLength(2);
});

test("an email that is no mailbox, or longer than any, counts as none", async () => {
  const { on } = projects;
  const long = `${"a".repeat(300)}@example.org`;
  const { user } = await signIn(app, on, { subject: "first" });
  for (const email of [long, "no mailbox"])
    expect((await signIn(app, on, { subject: "first", email, email_verified: true })).user?.id).toBe(user?.id);
  expect((await identitiesOf(on, user?.id ?? ""))[0]?.email).toBe("");
});

test("twenty first sign-ins at once link one identity, once", async () => {
  const project = await app.project({ linkByVerifiedEmail: true });
  await addProvider(project);
  const id = await holder(project, "mob@example.org", true);
  const facts = { subject: "mob", email: "mob@example.org", email_verified: true };
  const answers = await Promise.all(Array.from({ length: 20 }, () => signIn(app, project, facts)));
  expect(answers.every(({ user, userCreated }) => user?.id === id && !userCreated)).toBe(true);
  expect(await identitiesOf(project, id)).toHaveLength(1);
  expect(await eventsOf(app, project)).toEqual(["user.created", "identity.linked"]);
});

test("a user that has twenty identities is linked no other", async () => {
  const { on } = projects;
  const id = await holder(on, "full@example.org", true);
  const facts = (n: number) => ({ subject: `full ${n}`, email: "full@example.org", email_verified: true });
  for (let n = 0; n < 20; n++) await signIn(app, on, facts(n));
  expect(await reasonOf(signIn(app, on, facts(20)))).toBe("IDENTITIES_FULL");
  expect((await signIn(app, on, facts(19))).user?.id).toBe(id);
});

/** What happens to the user that has the email, between its being found and its row being locked. */
const MEANWHILE = {
  "loses the email": {
    change: "update users set email = null, email_key = null where id = $1",
    outcome: /^[0-9a-f-]{36}$/,
  },
  "is suspended": {
    change: `update users set suspensions = '[{"id": "1", "reason": "", "start_time": "2020-01-01T00:00:00Z", "blocks_sign_in": true}]' where id = $1`,
    outcome: /^USER_SUSPENDED$/,
  },
  "is deleted": { change: "delete from users where id = $1", outcome: /^[0-9a-f-]{36}$/ },
};

test.each(Object.entries(MEANWHILE))("a user that %s meanwhile is not linked", async (_, { change, outcome }) => {
  const project = await app.project({ linkByVerifiedEmail: true });
  await addProvider(project);
  const email = newEmail();
  const id = await holder(project, email, true);
  const held = await holdUsers(app.db.address, project.id);
  const changing = app.db.pool.query(change, [id]);
  await expect.poll(held.waiting).toBe(1);
  const signingIn = outcomeOf(signIn(app, project, { subject: "late", email, email_verified: true }));
  await expect.poll(held.waiting).toBe(2);
  await held.release();
  await changing;
  const there = await usersOf(project);
  expect((await signingIn) === id).toBe(false);
  expect(await signingIn).toMatch(outcome);
  const linked = there.some((user) => user.id === id) ? await identitiesOf(project, id) : [];
  expect(linked).toEqual([]);
});
