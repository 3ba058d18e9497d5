import { generateKeyPairSync } from "node:crypto";
import { SignJWT } from "jose";
import { OAuth2Server } from "oauth2-mock-server";
import { afterAll, describe, expect, test } from "vitest";
import { ExternalAuthService } from "../../src/gen/muster/v1/external_auth_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { startOutsideServer } from "../support/outside-server.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { eventsOf, identitiesOf, usersOf } from "./identities-fixture.ts";

type Claims = Record<string, unknown>;
const PAGE = "https://app.example";

/** An OpenID provider with keys of its own, and the keys of a Firebase. */
const openId = new OAuth2Server();
await openId.issuer.keys.generate("RS256");
await openId.start(0, "127.0.0.1");
afterAll(() => openId.stop());
const issuer = openId.issuer.url ?? "";
const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const google = await startOutsideServer((_, response) => {
  const key = { ...publicKey.export({ format: "jwk" }), kid: "one", alg: "RS256", use: "sig" };
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ keys: [key] }));
});

const app = await startApp({ config: { egressAllow: [new URL(issuer).host, google.host] } });
const seconds = () => Math.floor(app.clock.now() / 1_000);

/** A project with both providers. */
async function newProject() {
  const project = await app.project({ linkByVerifiedEmail: true, corsOrigins: [PAGE] });
  const auth = project.system(ExternalAuthService);
  const oidc = { case: "oidc", value: { issuer, clientId: "app" } } as const;
  await auth.createProvider({ provider: { id: "openid", config: oidc } });
  const keysUri = `${google.url}/keys`;
  const firebase = { case: "firebase", value: { firebaseProjectId: "my-app", keysUri } } as const;
  await auth.createProvider({ provider: { id: "firebase", config: firebase } });
  const signIn = (provider: string, credential: string, nonce = "") =>
    app.client(ExternalAuthService).signInWithProvider({ projectId: project.id, provider, credential, nonce });
  return { ...project, auth, signIn };
}

const idToken = (claims: Claims) =>
  openId.issuer.buildToken({
    scopesOrTransform(_, payload) {
      for (const name of Object.keys(payload)) delete payload[name];
      const life = { iat: seconds(), exp: seconds() + 3_600 };
      Object.assign(payload, { iss: issuer, aud: "app", ...life, ...claims });
    },
  });

const firebaseToken = (claims: Claims) => {
  const life = { auth_time: seconds(), iat: seconds(), exp: seconds() + 3_600 };
  const parties = { iss: "https://securetoken.google.com/my-app", aud: "my-app" };
  return new SignJWT({ ...parties, ...life, ...claims })
    .setProtectedHeader({ alg: "RS256", kid: "one", typ: "JWT" })
    .sign(privateKey);
};
const BY_PHONE = { firebase: { identities: {}, sign_in_provider: "phone" } };
const BY_EMAIL = { firebase: { identities: {}, sign_in_provider: "password" } };

describe("an ID token of an OpenID provider", () => {
  test("signs in the user of its `sub`, made the first time with what the token tells", async () => {
    const { signIn, ...project } = await newProject();
    const told = { name: "Ada", email: "ada@example.org", email_verified: true, picture: "https://cdn.example/a.png" };
    const nonce = "n-0S6_WzA2Mj";
    const first = await signIn("openid", await idToken({ sub: "ada", nonce, ...told }), nonce);
    expect(first).toMatchObject({
      userCreated: true,
      user: { name: "Ada", email: "ada@example.org", emailVerified: true, avatarUrl: "https://cdn.example/a.png" },
    });
    const again = await signIn("openid", await idToken({ sub: "ada", name: "Countess" }));
    expect(again).toMatchObject({ userCreated: false, user: { id: first.user?.id, name: "Ada" } });
    expect(await eventsOf(app, project)).toEqual(["user.created", "identity.linked"]);
  });

  test("that is for another app, or with the nonce of another sign-in, signs in nobody and makes nobody", async () => {
    const { signIn, ...project } = await newProject();
    expect(await reasonOf(signIn("openid", await idToken({ sub: "ada", aud: "other" })))).toBe("EXTERNAL_JWT_INVALID");
    const replayed = await idToken({ sub: "ada", nonce: "one" });
    expect(await reasonOf(signIn("openid", replayed, "two"))).toBe("EXTERNAL_JWT_INVALID");
    expect(await usersOf(project)).toEqual([]);
  });

  test("is linked to a user that calls, and lists beside what else it has", async () => {
    const { signIn, ...project } = await newProject();
    const { id, token } = await project.signedInUser();
    const identities = app.client(ExternalAuthService, token);
    for (const [provider, credential] of [
      ["openid", await idToken({ sub: "both" })],
      ["firebase", await firebaseToken({ sub: "both", ...BY_EMAIL })],
    ] as const)
      await identities.linkIdentity({
        ref: { ref: { case: "me", value: true } },
        provider,
        proof: { case: "credential", value: credential },
      });
    const linked = await identitiesOf(project, id);
    expect(new Set(linked.map(({ provider, subject }) => `${provider} ${subject}`))).toEqual(
      new Set(["openid both", "firebase both"]),
    );
    expect((await signIn("openid", await idToken({ sub: "both" }))).user?.id).toBe(id);
  });

  test("twenty times at once, beside as many of Firebase with the same verified email, makes one user with two identities", async () => {
    const { signIn, ...project } = await newProject();
    const told = { sub: "mob", email: "mob@example.org", email_verified: true };
    const tokens = { openid: await idToken(told), firebase: await firebaseToken({ ...told, ...BY_EMAIL }) };
    const calls = Array.from({ length: 20 }, () => Object.entries(tokens)).flat();
    const answers = await Promise.all(calls.map(([provider, credential]) => signIn(provider, credential)));
    expect(new Set(answers.map(({ user }) => user?.id)).size).toBe(1);
    expect(answers.filter(({ userCreated }) => userCreated)).toHaveLength(1);
    expect(await eventsOf(app, project)).toEqual(["user.created", "identity.linked", "identity.linked"]);
  });

  test("of a page gives it cookies, and with `cookie_only` no token that its scripts could read", async () => {
    const { id } = await newProject();
    const page = app.client(ExternalAuthService, undefined, { origin: PAGE });
    const cookies: string[] = [];
    const request = { projectId: id, provider: "openid", credential: await idToken({ sub: "page" }), cookieOnly: true };
    const { grant } = await page.signInWithProvider(request, {
      onHeader: (header) => void cookies.push(...header.getSetCookie().map((it) => it.split("=", 1)[0] ?? "")),
    });
    expect(cookies).toEqual(["__Host-muster-session", "__Host-muster-refresh"]);
    expect([grant?.sessionToken, grant?.refreshToken]).toEqual(["", ""]);
  });
});

describe("a Firebase ID token", () => {
  test("signs in by phone, which is verified, and leaves out one that another user has", async () => {
    const { signIn, ...project } = await newProject();
    const phone = "+4930123456";
    const { user } = await signIn("firebase", await firebaseToken({ sub: "one", phone_number: phone, ...BY_PHONE }));
    expect(user).toMatchObject({ phone, phoneVerified: true });
    const other = await signIn("firebase", await firebaseToken({ sub: "two", phone_number: phone, ...BY_PHONE }));
    expect(other).toMatchObject({ userCreated: true, user: { phone: "", phoneVerified: false, locators: [] } });
    expect(await usersOf(project)).toHaveLength(2);
  });

  test("with an email and a phone that different users have makes a user without both", async () => {
    const { signIn, ...project } = await newProject();
    const users = project.system(UserService);
    await users.upsertUser({ externalId: "a", user: { email: "a@example.org" } });
    await users.upsertUser({ externalId: "b", user: { phone: "+4930123457" } });
    const told = { email: "a@example.org", email_verified: true, phone_number: "+4930123457", name: "Third" };
    const answer = await signIn("firebase", await firebaseToken({ sub: "third", ...told, ...BY_EMAIL }));
    expect(answer).toMatchObject({ userCreated: true, user: { name: "Third", email: "", phone: "", locators: [] } });
  });

  test("with a phone that is no number of any country makes a user without it", async () => {
    const { signIn } = await newProject();
    const answer = await signIn(
      "firebase",
      await firebaseToken({ sub: "odd", phone_number: "+99912345678", ...BY_PHONE }),
    );
    expect(answer).toMatchObject({ userCreated: true, user: { phone: "" } });
  });
});

describe("a provider", () => {
  test("that is deleted while users sign in for the first time leaves users without it, and no identity", async () => {
    const { signIn, auth, ...project } = await newProject();
    const outcome = async (sub: string) =>
      signIn("openid", await idToken({ sub })).then(
        () => "signed in",
        (error: Error) => reasonOf(Promise.reject(error)),
      );
    await outcome("warm");
    const calls = Array.from({ length: 20 }, (_, n) => outcome(`s${n}`));
    const deleting = auth.deleteProvider({ provider: "openid", force: true });
    const outcomes = new Set(await Promise.all(calls));
    await deleting;
    expect([...outcomes].filter((it) => it !== "signed in" && it !== "PROVIDER_NOT_FOUND")).toEqual([]);
    expect(await outcome("late")).toBe("PROVIDER_NOT_FOUND");
    const linked = await Promise.all((await usersOf(project)).map(({ id }) => identitiesOf(project, id)));
    expect(linked.flat()).toEqual([]);
    const events = await eventsOf(app, project);
    const count = (type: string) => events.filter((it) => it === type).length;
    expect(count("identity.linked")).toBe(count("user.created"));
  });

  test("that is deleted in the same moment is PROVIDER_NOT_FOUND: no user is made, and nothing is linked", async () => {
    const { signIn, ...project } = await newProject();
    const told = { email: "here@example.org", email_verified: true };
    const holder = { email: told.email, emailVerified: true };
    const { user } = await project.system(UserService).upsertUser({ user: holder });
    // In the cache it is there for another half second.
    await signIn("openid", await idToken({ sub: "warm" }));
    await app.db.pool.query("delete from providers where project_id = $1 and id = 'openid'", [project.id]);
    expect(await reasonOf(signIn("openid", await idToken({ sub: "new" })))).toBe("PROVIDER_NOT_FOUND");
    expect(await reasonOf(signIn("openid", await idToken({ sub: "linked", ...told })))).toBe("PROVIDER_NOT_FOUND");
    expect(await identitiesOf(project, user?.id ?? "")).toEqual([]);
    expect(await usersOf(project)).toHaveLength(2);
  });

  test("that cannot be reached is PROVIDER_UNAVAILABLE, also for who wants to link", async () => {
    const { signIn, auth, signedInUser } = await newProject();
    const config = { case: "oidc", value: { issuer: "https://gone.invalid", clientId: "app" } } as const;
    await auth.createProvider({ provider: { id: "gone", config } });
    const credential = await idToken({ sub: "a", iss: "https://gone.invalid" });
    expect(await reasonOf(signIn("gone", credential))).toBe("PROVIDER_UNAVAILABLE");
    const { token } = await signedInUser();
    const linking = app.client(ExternalAuthService, token).linkIdentity({
      ref: { ref: { case: "me", value: true } },
      provider: "gone",
      proof: { case: "credential", value: credential },
    });
    expect(await reasonOf(linking)).toBe("PROVIDER_UNAVAILABLE");
  });
});
