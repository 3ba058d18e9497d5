import { expect, test } from "vitest";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { mailFolder } from "../support/mail-folder.ts";
import { reasonOf } from "../support/refusal.ts";
import { settledEvents } from "../support/settled-events.ts";
import { startApp } from "../support/start-app.ts";
import { ALLOWED, addProvider, identitiesOf, link, signIn } from "./identities-fixture.ts";

const { dataDir, mailsTo } = await mailFolder();
const app = await startApp({ config: { ...ALLOWED, dataDir, passwordResetUrl: "https://app.example/#{token}" } });
const sessions = app.client(SessionService);
const own = await app.project();
for (const provider of ["acme", "other"]) await addProvider(own, provider);
const PASSWORD = "correct horse battery";

/** Does what whoever reads the mails of an address can do. */
async function resetPassword(email: string): Promise<void> {
  await sessions.requestPasswordReset({ projectId: own.id, email });
  const [mail = ""] = await mailsTo(email, 1);
  const token = /mrp_[A-Za-z0-9_-]{48}/.exec(mail)?.[0] ?? "";
  await sessions.resetPassword({ projectId: own.id, token, password: PASSWORD });
}
const byEmail = (email: string) =>
  sessions.createSession({
    projectId: own.id,
    credential: { case: "password", value: { identifier: { case: "email", value: email }, password: PASSWORD } },
  });

test("a user that a provider proved sets its first password by its verified email, and keeps its identities", async () => {
  const email = "first@example.org";
  const facts = { subject: "first", email, email_verified: true };
  const { user, grant } = await signIn(app, own, facts);
  await link(own, user?.id ?? "", "other", "first");
  const change = app
    .client(SessionService, grant?.sessionToken)
    .changePassword({ oldPassword: "none", password: PASSWORD });
  expect(await reasonOf(change)).toBe("CREDENTIALS_REJECTED");
  await resetPassword(email);
  expect((await byEmail(email)).user?.id).toBe(user?.id);
  expect((await signIn(app, own, facts)).user?.id).toBe(user?.id);
  expect(await identitiesOf(own, user?.id ?? "")).toHaveLength(2);
});

test("whoever waits with an identity in a user under somebody else's email is put out when the owner of the email comes", async () => {
  const email = "victim@example.org";
  const trap = { subject: "trap", email, email_verified: false };
  const { user } = await signIn(app, own, trap);
  const id = user?.id ?? "";
  expect(user).toMatchObject({ email, emailVerified: false });
  await link(own, id, "other", "trap");
  await resetPassword(email);
  expect((await byEmail(email)).user).toMatchObject({ id, emailVerified: true });
  expect(await identitiesOf(own, id)).toEqual([]);
  const again = await signIn(app, own, trap);
  expect([again.userCreated, again.user?.email]).toEqual([true, ""]);
  const events = (await settledEvents(app.db, own.id)).filter(({ userId }) => userId === id);
  const unlinked = events.filter(({ type }) => type === "identity.unlinked").map(({ data }) => data);
  expect(unlinked).toEqual(
    ["acme", "other"].map((provider) => ({ user_id: id, external_id: id, provider, subject: "trap" })),
  );
});

test("an identity whose provider verified the email stays when the user proves the email too", async () => {
  const email = "Slow@example.org";
  const { user } = await signIn(app, own, { subject: "slow", email, email_verified: false });
  const facts = { subject: "slow", email: "slow@example.org", email_verified: true };
  await signIn(app, own, facts);
  await resetPassword(email);
  expect(await signIn(app, own, facts)).toMatchObject({ userCreated: false, user: { id: user?.id } });
  expect(await identitiesOf(own, user?.id ?? "")).toHaveLength(1);
});
