import { describe, expect, test } from "vitest";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { createIds } from "../../src/ids.ts";
import { purgeGuests } from "../../src/users/purge-guests.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { settledEvents } from "../support/settled-events.ts";
import { startApp } from "../support/start-app.ts";
import { byLogin, guest, ME, PASSWORD, refresh, signUp } from "./sessions-fixture.ts";

const app = await startApp();
const { client, clock, db, project } = app;
const own = await project();
const purgePorts = {
  db,
  newId: createIds(clock),
  tokenTtlMs: 0,
  announceEnd: () => {},
  announceDeletion: () => {},
  announceEvents: () => {},
};
const signUpAs = (request: object, credential?: string) =>
  client(SessionService, credential).signUp({ projectId: own.id, password: PASSWORD, ...request });
const isIn = async (token = "") => (await client(UserService, token).getUser(ME)).user?.id;
const signIn = (login: string, password = PASSWORD) =>
  client(SessionService).createSession({ projectId: own.id, credential: byLogin(login, password) });

describe("who signs up", () => {
  test("with a login or an email, and a password, is a user and signed in", async () => {
    const byLoginAlone = await signUpAs({ login: "Ada", user: { name: "Ada L.", bio: "x" } });
    expect(byLoginAlone.user).toMatchObject({ login: "Ada", name: "Ada L.", bio: "x", guest: false });
    expect(await isIn(byLoginAlone.grant?.sessionToken)).toBe(byLoginAlone.user?.id);
    const { user } = await signUpAs({ email: "Ada@Example.org" });
    expect(user).toMatchObject({ email: "Ada@Example.org", emailVerified: false });
    const events = (await settledEvents(db, own.id)).filter(({ userId }) => userId === user?.id);
    expect(events.map(({ type }) => type)).toEqual(["user.created", "session.created"]);
    expect(JSON.stringify(events)).not.toMatch(/argon2|correct horse/);
  });

  test("needs one of the two, and a password that is not guessed first", async () => {
    expect((await refusalOf(signUpAs({}))).fields).toEqual(["login"]);
    expect((await refusalOf(signUpAs({ login: "weak", password: "" }))).fields).toEqual(["password"]);
    expect(await reasonOf(signUpAs({ login: "weak", password: "short" }))).toBe("PASSWORD_WEAK");
    expect((await refusalOf(signUpAs({ login: "-" }))).fields).toEqual(["login"]);
    expect((await refusalOf(signUpAs({ email: "nobody" }))).fields).toEqual(["email"]);
    expect(await reasonOf(signIn("weak", "short"))).toBe("CREDENTIALS_REJECTED");
  });

  test("does not get what another user has", async () => {
    await signUpAs({ login: "taken", email: "taken@example.org" });
    expect(await reasonOf(signUpAs({ login: "TAKEN" }))).toBe("LOGIN_TAKEN");
    const { reason, metadata } = await refusalOf(signUpAs({ login: "free", email: "TAKEN@example.org" }));
    expect([reason, metadata["type"]]).toEqual(["LOCATOR_TAKEN", "email"]);
    expect(await reasonOf(signIn("free"))).toBe("CREDENTIALS_REJECTED");
  });

  test("sets of itself what a user may set, and sees what a user sees of itself", async () => {
    expect(await reasonOf(signUpAs({ login: "vain", user: { reputation: 1_000n } }))).toBe("PRINCIPAL_NOT_ALLOWED");
    expect(await reasonOf(signUpAs({ login: "vain", user: { emailVerified: true } }))).toBe("PRINCIPAL_NOT_ALLOWED");
    const { user } = await signUpAs({ login: "modest", email: "modest@example.org" });
    expect(user).toMatchObject({ email: "modest@example.org", locators: [{ value: "modest@example.org" }] });
    const bySystem = await own
      .system(SessionService)
      .signUp({ login: "trusted", password: PASSWORD, user: { reputation: 5n } });
    expect(bySystem.user?.reputation).toBe(5n);
  });

  test("twenty times at once with one login is one user", async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => signUpAs({ login: "race" })));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });
});

describe("a guest that signs up", () => {
  test("is a full user of the same id that keeps what it has, its sessions and its tokens", async () => {
    const { grant, userId } = await guest(app, own, "Passer-by");
    await client(UserService, grant.sessionToken).updateUser({ ref: ME.ref, user: { bio: "mine" } });
    const signedUp = await signUpAs({ login: "settled" }, grant.sessionToken);
    expect(signedUp.user).toMatchObject({ id: userId, login: "settled", name: "Passer-by", bio: "mine", guest: false });
    for (const token of [grant.sessionToken, grant.accessToken, signedUp.grant?.sessionToken])
      expect(await isIn(token)).toBe(userId);
    expect((await signIn("settled")).user?.id).toBe(userId);
    const created = (await settledEvents(db, own.id)).filter(
      (it) => it.type === "user.created" && it.userId === userId,
    );
    expect(created).toHaveLength(1);
    // A guest's day is over.
    clock.step(23 * 3_600_000);
    const { grant: refreshed } = await refresh(app, own, grant.refreshToken);
    clock.step(2 * 3_600_000);
    expect(await isIn(refreshed?.sessionToken)).toBe(userId);
    expect((await refresh(app, own, refreshed?.refreshToken ?? "")).user?.id).toBe(userId);
  });

  test("stays a guest where the sign-up is refused", async () => {
    await signUpAs({ login: "occupied" });
    const { grant, userId } = await guest(app, own);
    expect(await reasonOf(signUpAs({ login: "occupied" }, grant.sessionToken))).toBe("LOGIN_TAKEN");
    const { user } = await client(UserService, grant.sessionToken).getUser(ME);
    expect([user?.id, user?.guest]).toEqual([userId, true]);
  });

  test("while its time runs out is either deleted or stays, and never both", async () => {
    for (let round = 0; round < 8; round++) {
      const { grant, userId } = await guest(app, own);
      clock.step(24 * 3_600_000 - 1);
      const signingUp = signUpAs({ login: `late${round}` }, grant.sessionToken);
      const purge = purgeGuests(
        { ...purgePorts, clock: { ...clock, now: () => clock.now() + 1 } },
        new AbortController().signal,
      );
      const [outcome] = await Promise.allSettled([signingUp, purge]);
      const [found] = (await own.system(UserService).batchGetUsers({ refs: [{ ref: { case: "id", value: userId } }] }))
        .users;
      expect(found?.guest).toBe(outcome.status === "fulfilled" ? false : undefined);
    }
  });

  test("twice at once is one user", async () => {
    const { grant, userId } = await guest(app, own);
    const calls = [1, 2].map(() => signUpAs({ login: "double" }, grant.sessionToken));
    const outcomes = await Promise.allSettled(calls);
    const ids = outcomes.flatMap((it) => (it.status === "fulfilled" ? [it.value.user?.id] : []));
    expect(ids).toEqual([userId]);
  });
});

test("a user that is no guest makes another one", async () => {
  const { grant, userId } = await signUp(app, own, "first");
  const { user } = await signUpAs({ login: "second" }, grant.sessionToken);
  expect(user?.id).not.toBe(userId);
  expect(user?.email).toBe("");
});
