import { expect, test } from "vitest";
import { ExternalAuthService } from "../../src/gen/muster/v1/external_auth_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { guest } from "../sessions/sessions-fixture.ts";
import { changesIn } from "../support/audit-entries.ts";
import { settledEvents } from "../support/settled-events.ts";
import { startApp, type TestProject } from "../support/start-app.ts";
import { projectWithKey } from "./external-fixture.ts";
import { ALLOWED, addProvider, byId, signIn } from "./identities-fixture.ts";

const app = await startApp({ config: ALLOWED });
const { db } = app;

/** What was changed of a user, and of what it is linked to; sessions have entries of their own. */
const changesOf = async ({ id }: TestProject, userId: string) =>
  (await changesIn(db, id))
    .filter((change) => change.userId === userId && !change.target?.startsWith("session/"))
    .map(({ method, target, details }) => ({ method, ...(target && { target }), details }));

test("a link and its end have an entry each, which tells the provider and not who the user is there; one that is there has none", async () => {
  const own = await app.project();
  await addProvider(own);
  const { user } = await own.system(UserService).upsertUser({ externalId: "alice" });
  const id = user?.id ?? "";
  const identities = app.client(ExternalAuthService, own.accessKey, { "muster-origin": "import" });
  for (const value of ["first", "first", "second"])
    await identities.linkIdentity({ ref: byId(id), provider: "acme", proof: { case: "subject", value } });
  for (const subject of ["first", "first"])
    await identities.unlinkIdentity({ ref: byId(id), provider: "acme", subject });
  const target = "identity/acme";
  expect((await changesOf(own, id)).slice(1)).toEqual([
    { method: "ExternalAuthService/LinkIdentity", target, details: { linked: true } },
    { method: "ExternalAuthService/LinkIdentity", target, details: { linked: true } },
    { method: "ExternalAuthService/UnlinkIdentity", target, details: { linked: false } },
  ]);
  const events = (await settledEvents(db, own.id)).filter(({ type }) => type.startsWith("identity."));
  expect(events.map(({ type, origin }) => [type, origin])).toEqual([
    ["identity.linked", "import"],
    ["identity.linked", "import"],
    ["identity.unlinked", "import"],
  ]);
});

test("a sign-in that makes a user says so and that it linked the identity, however many there are at once; the next ones change nothing", async () => {
  const own = await app.project();
  await addProvider(own);
  const facts = { subject: "new" };
  const [first] = await Promise.all(Array.from({ length: 10 }, () => signIn(app, own, facts)));
  await signIn(app, own, facts);
  const method = "ExternalAuthService/SignInWithProvider";
  const changes = await changesOf(own, first?.user?.id ?? "");
  expect(changes).toHaveLength(2);
  expect(changes).toContainEqual({ method, details: { created: true } });
  expect(changes).toContainEqual({ method, target: "identity/acme", details: { linked: true } });
});

test("the link by which a guest becomes a full user says that as well", async () => {
  const own = await app.project();
  await addProvider(own);
  const { userId } = await guest(app, own);
  const proof = { case: "subject", value: "late" } as const;
  await own.system(ExternalAuthService).linkIdentity({ ref: byId(userId), provider: "acme", proof });
  expect((await changesOf(own, userId)).at(-1)).toEqual({
    method: "ExternalAuthService/LinkIdentity",
    target: "identity/acme",
    details: { linked: true, changed: ["guest"] },
  });
});

test("a user that is given the id it has in the customer's own system has an entry of it", async () => {
  const own = await projectWithKey(app, { linkByVerifiedEmail: true });
  const users = own.project.system(UserService);
  const { user } = await users.upsertUser({ user: { email: "ada@example.org", emailVerified: true } });
  await own.signIn("ada", { email: "ada@example.org", email_verified: true });
  expect((await changesOf(own.project, user?.id ?? "")).slice(1)).toEqual([
    { method: "ExternalAuthService/VerifyExternalUser", details: { changed: ["external_id"] } },
  ]);
});
