import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { byLogin, guest, ME, PASSWORD, signUp } from "./sessions-fixture.ts";

const app = await startApp();
const { client, project } = app;
const own = await project();
type Credential = Parameters<ReturnType<typeof client<typeof SessionService>>["createSession"]>[0]["credential"];
const signIn = (credential: Credential, to = own) =>
  client(SessionService).createSession({ projectId: to.id, credential: credential as never });
const by = (identifier: "login" | "email" | "phone", value: string, password = PASSWORD) =>
  ({ case: "password", value: { identifier: { case: identifier, value }, password } }) as never;

describe("a user with a password signs in", () => {
  test("by its login, and by any of its emails and phones", async () => {
    const { userId } = await signUp(app, own, "Grace");
    const ref = { ref: { case: "id", value: userId } } as const;
    const users = own.system(UserService);
    await users.updateUser({ ref, user: { email: "Grace@Example.org", phone: "+4930123456" } });
    await users.addLocator({ ref, locator: { type: 1, value: "second@example.org" } });
    for (const credential of [
      byLogin("gRACE"),
      by("email", "grace@EXAMPLE.org"),
      by("email", "second@example.org"),
      by("phone", "+4930123456"),
    ]) {
      const answer = await signIn(credential);
      expect([answer.user?.id, answer.userCreated]).toEqual([userId, false]);
      expect((await client(UserService, answer.grant?.sessionToken).getUser(ME)).user?.id).toBe(userId);
    }
  });

  test("in its own project alone", async () => {
    await signUp(app, own, "local");
    expect(await reasonOf(signIn(byLogin("local"), await project()))).toBe("CREDENTIALS_REJECTED");
  });
});

test("nobody, a wrong password, no password and a suspended user are refused byte for byte alike", async () => {
  const { userId } = await signUp(app, own, "held");
  await own
    .system(UserService)
    .suspendUser({ ref: { ref: { case: "id", value: userId } }, suspension: { blocksSignIn: true } });
  await signUp(app, own, "right");
  await own.system(UserService).upsertUser({ externalId: "bare", user: { login: "bare" } });
  const { userId: guestId } = await guest(app, own);
  await own
    .system(UserService)
    .updateUser({ ref: { ref: { case: "id", value: guestId } }, user: { login: "passing" } });
  const refusals = [
    byLogin("nobody"),
    byLogin("right", "wrong password"),
    byLogin("bare"),
    byLogin("held"),
    byLogin("passing"),
  ];
  const told = await Promise.all(
    refusals.map(async (credential) => {
      const { error } = await refusalOf(signIn(credential));
      return { code: error.code, message: error.rawMessage, details: error.details };
    }),
  );
  expect(told[0]).toMatchObject({ code: Code.Unauthenticated, message: "Wrong login or password" });
  for (const other of told) expect(other).toEqual(told[0]);
});

test("a password that is set anew while a sign-in with the old one is under way lets nobody in", async () => {
  const { userId } = await signUp(app, own, "racing");
  const ref = { ref: { case: "id", value: userId } } as const;
  const passwords = [PASSWORD, "another long password"];
  for (let round = 0; round < 6; round++) {
    const [before = "", after = ""] = round % 2 === 0 ? passwords : passwords.toReversed();
    const calls = Array.from({ length: 4 }, () => signIn(byLogin("racing", before)));
    await Promise.allSettled([own.system(UserService).setPassword({ ref, password: after }), ...calls]);
    expect(await reasonOf(signIn(byLogin("racing", before)))).toBe("CREDENTIALS_REJECTED");
    expect((await signIn(byLogin("racing", after))).user?.id).toBe(userId);
  }
});

describe("a sign-in of nobody", () => {
  test("is refused, unless the project says otherwise: then it makes the user", async () => {
    const open = await project({ createUsersOnSignIn: true });
    const made = await signIn(byLogin("newcomer"), open);
    expect(made).toMatchObject({ userCreated: true, user: { login: "newcomer", guest: false } });
    const again = await signIn(byLogin("newcomer"), open);
    expect(again).toMatchObject({ userCreated: false, user: { id: made.user?.id } });
    expect(await reasonOf(signIn(byLogin("newcomer", "wrong password"), open))).toBe("CREDENTIALS_REJECTED");
    const email = await signIn(by("email", "new@example.org"), open);
    expect(email.user).toMatchObject({ email: "new@example.org", emailVerified: false });
    expect(await reasonOf(signIn(byLogin("weakling", "12345"), open))).toBe("PASSWORD_WEAK");
    expect(await reasonOf(signIn(by("email", "no address"), open))).toBe("REQUEST_INVALID");
    expect(await reasonOf(signIn(byLogin("newcomer")))).toBe("CREDENTIALS_REJECTED");
  });

  test("twenty times at once makes one user", async () => {
    const open = await project({ createUsersOnSignIn: true });
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => signIn(byLogin("mob"), open)));
    const answers = outcomes.flatMap((it) => (it.status === "fulfilled" ? [it.value] : []));
    expect(answers.filter(({ userCreated }) => userCreated)).toHaveLength(1);
    expect(new Set(answers.map(({ user }) => user?.id)).size).toBe(1);
  });
});

test("who guesses waits after five failures, on every server, right or wrong, and whether there is such a user or not", async () => {
  const config = { rateFactor: 1, encryptionKeys: app.config.encryptionKeys };
  const servers = [await startApp({ db: app.db, config }), await startApp({ db: app.db, config })] as const;
  const { id: projectId } = await project();
  await client(SessionService).signUp({ projectId, login: "victim", password: PASSWORD });
  for (const login of ["victim", "phantom"]) {
    const attempt = (n: number, password: string) =>
      servers[n % 2 === 0 ? 0 : 1]
        .client(SessionService)
        .createSession({ projectId, credential: byLogin(login, password) });
    for (let n = 0; n < 5; n++) expect(await reasonOf(attempt(n, "wrong password"))).toBe("CREDENTIALS_REJECTED");
    const { reason, retryAfter } = await refusalOf(attempt(0, PASSWORD));
    expect(reason).toBe("RATE_LIMITED");
    expect(retryAfter).toBeGreaterThan(1);
    expect(retryAfter).toBeLessThanOrEqual(60);
  }
});
