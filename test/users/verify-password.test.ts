import { expect, test } from "vitest";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { createLogger } from "../../src/logger.ts";
import { createHashQueue } from "../../src/users/passwords/hash-queue.ts";
import { type PasswordHasher, passwordHasher } from "../../src/users/passwords/password-hasher.ts";
import { createPasswords } from "../../src/users/passwords/passwords.ts";
import type { UserKey } from "../../src/users/user-key.ts";
import { startApp } from "../support/start-app.ts";
import { PASSWORD_VECTORS } from "./password-vectors.ts";

const { db, clock, project } = await startApp();
const logger = createLogger("silent");
const PASSWORD = "correct horse";
const BCRYPT = "$2b$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui";
const LONG = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789chars after 72 are ignored";

/** Passwords with every hash that is computed noted: `current` where it has today's strength, `other` where it does not. */
function countingPasswords(during?: () => Promise<unknown>) {
  const work: string[] = [];
  const hasher: PasswordHasher = {
    async hash(password) {
      work.push("current");
      await during?.();
      return passwordHasher.hash(password);
    },
    matches(hash, password) {
      work.push(hash.isCurrent ? "current" : "other");
      return passwordHasher.matches(hash, password);
    },
  };
  return { work, ...createPasswords({ db, clock, logger, hasher }) };
}

const by = (value: string, kind: UserKey["by"] = "login"): UserKey => ({ by: kind, value });

/** A project with alice, who has a password, and others that cannot be signed in. */
async function roll() {
  const { id: projectId, system } = await project();
  const users = system(UserService);
  const scope = { projectId };
  const ref = (value: string) => ({ ref: { case: "externalId" as const, value } });
  await users.batchUpsertUsers({
    users: ["alice", "suspended", "passwordless"].map((login) => ({
      externalId: login,
      user: { login, email: `${login}@example.org` },
    })),
  });
  for (const name of ["alice", "suspended"]) await users.setPassword({ ref: ref(name), password: PASSWORD });
  await users.suspendUser({ ref: ref("suspended"), suspension: { blocksSignIn: true } });
  const { user } = await users.getUser({ ref: ref("alice") });
  const aliceId = user?.id ?? "";
  const kept = async () =>
    (await db.pool.query("select * from passwords where project_id = $1 and user_id = $2", [projectId, aliceId]))
      .rows[0];
  const keep = (phc: string, imported: boolean) =>
    db.pool.query("update passwords set phc = $3, imported = $4 where project_id = $1 and user_id = $2", [
      projectId,
      aliceId,
      phc,
      imported,
    ]);
  return { users, scope, aliceId, ref, kept, keep };
}

test("the right password gives the user, by whatever identifier it is named", async () => {
  const { scope, aliceId, kept } = await roll();
  const { verify } = countingPasswords();
  const expected = { userId: aliceId, passwordId: (await kept()).id };
  for (const key of [by("ALICE"), by("Alice@example.org", "email"), by(aliceId, "id"), by("alice", "externalId")])
    expect(await verify(scope, key, PASSWORD)).toEqual(expected);
  expect(await verify({ projectId: (await project()).id }, by("alice"), PASSWORD)).toBeUndefined();
});

test("a password is the same however its letters are composed, and no other is", async () => {
  const { users, scope, ref } = await roll();
  const { verify } = countingPasswords();
  await users.setPassword({ ref: ref("alice"), password: "\u00c5ngstr\u00f6m" });
  expect(await verify(scope, by("alice"), "A\u030angstro\u0308m")).toBeDefined();
  expect(await verify(scope, by("alice"), "\u00c5ngstr\u00f6m ")).toBeUndefined();
  expect(await verify(scope, by("alice"), "")).toBeUndefined();
  expect(await verify(scope, by("alice"), "a".repeat(4_096))).toBeUndefined();
});

test.each([
  ["the right password", "alice", PASSWORD],
  ["a wrong password", "alice", "wrong horse"],
  ["nobody", "nobody", PASSWORD],
  ["a user without a password", "passwordless", PASSWORD],
  ["a suspended user", "suspended", PASSWORD],
  ["a suspended user and a wrong password", "suspended", "wrong horse"],
])("%s takes one hash of today's strength", async (_, login, password) => {
  const { scope } = await roll();
  const { work, verify } = countingPasswords();
  const verified = await verify(scope, by(login), password);
  expect(verified !== undefined).toBe(login === "alice" && password === PASSWORD);
  expect(work).toEqual(["current"]);
});

test("a suspended user is let in again when the suspension is over", async () => {
  const { users, scope, ref } = await roll();
  const { verify } = countingPasswords();
  const { user } = await users.getUser({ ref: ref("suspended") });
  await users.liftSuspension({ ref: ref("suspended"), suspensionId: user?.suspensions[0]?.id ?? "" });
  expect(await verify(scope, by("suspended"), PASSWORD)).toBeDefined();
});

test.each(PASSWORD_VECTORS.filter(([, password]) => password.length <= 72))(
  "with a hash from elsewhere, %s, a user is known and its password hashed anew, once",
  async (_, password, phc) => {
    const { scope, keep, kept } = await roll();
    await keep(phc, true);
    const { work, verify } = countingPasswords();
    expect(await verify(scope, by("alice"), `x${password}`)).toBeUndefined();
    const { phc: untouched, ...before } = await kept();
    expect(untouched).toBe(phc);
    expect(await verify(scope, by("alice"), password)).toMatchObject({ passwordId: before.id });
    const { phc: rehashed, ...after } = await kept();
    expect(rehashed).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(after).toEqual({ ...before, imported: false });
    const spent = work.splice(0);
    expect(spent.filter((hash) => hash === "current").length).toBeGreaterThanOrEqual(2);
    expect(spent).toHaveLength(4);
    expect(await verify(scope, by("alice"), password)).toBeDefined();
    expect(work).toEqual(["current"]);
  },
);

test("a right and a wrong password take the same work where the hash is from elsewhere or of before the strength rose", async () => {
  const { scope, keep } = await roll();
  const weaker = "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc";
  for (const [phc, imported] of [
    [weaker, false],
    [weaker, true],
  ] as const) {
    await keep(phc, imported);
    const { work, verify } = countingPasswords();
    expect(await verify(scope, by("alice"), "wrong horse")).toBeUndefined();
    expect(work.splice(0)).toEqual(["other", "current"]);
    expect(await verify(scope, by("alice"), "password")).toBeDefined();
    expect(work).toEqual(["other", "current"]);
  }
});

test("a suspended user's hash from elsewhere stays as it is", async () => {
  const { users, scope, ref, keep, kept } = await roll();
  const [, password = "", phc = ""] = PASSWORD_VECTORS[1] ?? [];
  await keep(phc, true);
  await users.suspendUser({ ref: ref("alice"), suspension: { blocksSignIn: true } });
  const { work, verify } = countingPasswords();
  expect(await verify(scope, by("alice"), password)).toBeUndefined();
  expect(work).toEqual(["other", "current"]);
  expect((await kept()).phc).toBe(phc);
});

test("beyond the 72 bytes of bcrypt nothing is checked, and so nothing is hashed anew", async () => {
  const { scope, keep, kept } = await roll();
  await keep(BCRYPT, true);
  const { work, verify } = countingPasswords();
  expect(await verify(scope, by("alice"), LONG)).toBeDefined();
  expect(await verify(scope, by("alice"), `${LONG.slice(0, 72)}mistyped`)).toBeDefined();
  expect((await kept()).phc).toBe(BCRYPT);
  expect(work).toEqual(["other", "current", "other", "current"]);
  expect(await verify(scope, by("alice"), LONG.slice(0, 72))).toBeDefined();
  expect((await kept()).phc).toMatch(/^\$argon2id/);
  expect(await verify(scope, by("alice"), LONG)).toBeUndefined();
});

test("a hash from elsewhere is of what was typed, and the one that takes its place of its composed form", async () => {
  const { scope, keep } = await roll();
  const typed = "A\u030angstro\u0308m";
  await keep(await passwordHasher.hash(Buffer.from(typed)), true);
  const { verify } = countingPasswords();
  expect(await verify(scope, by("alice"), typed.normalize("NFC"))).toBeUndefined();
  expect(await verify(scope, by("alice"), typed)).toBeDefined();
  expect(await verify(scope, by("alice"), typed.normalize("NFC"))).toBeDefined();
});

test("a password that is set while the one before is hashed anew stays", async () => {
  const { users, scope, ref, keep, kept } = await roll();
  const [, password = "", phc = ""] = PASSWORD_VECTORS[1] ?? [];
  await keep(phc, true);
  const { verify } = countingPasswords(() => users.setPassword({ ref: ref("alice"), password: "battery staple" }));
  const verified = await verify(scope, by("alice"), password);
  expect(verified?.passwordId).not.toBe((await kept()).id);
  expect(await verify(scope, by("alice"), password)).toBeUndefined();
  expect(await verify(scope, by("alice"), "battery staple")).toBeDefined();
});

test("a hash that cannot be read is nobody's password, and takes the same work", async () => {
  const { scope, keep } = await roll();
  await keep("$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc", true);
  const { work, verify } = countingPasswords();
  expect(await verify(scope, by("alice"), "password")).toBeUndefined();
  expect(work).toEqual(["current"]);
});

test("while too many wait, known and unknown alike are told to come back, and who leaves does not wait", async () => {
  const { scope } = await roll();
  const busy = Promise.withResolvers<boolean>();
  const started = Promise.withResolvers<void>();
  const hasher: PasswordHasher = {
    ...passwordHasher,
    matches() {
      started.resolve();
      return busy.promise;
    },
  };
  const queue = createHashQueue({ mostAtOnce: 1, mostWaiting: 1 });
  const passwords = createPasswords({ db, clock, logger, hasher, queue });
  const leaving = new AbortController();
  const first = passwords.verify(scope, by("nobody"), PASSWORD);
  await started.promise;
  const waits = passwords.verify({ ...scope, signal: leaving.signal }, by("alice"), PASSWORD);
  await expect.poll(() => passwords.waiting).toBe(1);
  for (const login of ["alice", "nobody", "suspended"])
    await expect(passwords.verify(scope, by(login), PASSWORD)).rejects.toMatchObject({ reason: "RATE_LIMITED" });
  leaving.abort(new Error("left"));
  await expect(waits).rejects.toThrow("left");
  busy.resolve(false);
  expect(await first).toBeUndefined();
});
