import { expect, test } from "vitest";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { parsePasswordHash } from "../../src/users/passwords/password-hash.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";

const app = await startApp();
const alice = { ref: { case: "externalId" as const, value: "alice" } };
const me = { ref: { case: "me" as const, value: true } };

async function withAlice() {
  const project = await app.project();
  const users = project.system(UserService);
  await users.upsertUser({ externalId: "alice", user: { login: "alice" } });
  return { ...project, users };
}

const kept = async (projectId: string) =>
  (
    await app.db.pool.query(
      "select user_id, imported, phc, extract(epoch from update_time)::float8 * 1000 as set_at from passwords where project_id = $1",
      [projectId],
    )
  ).rows;
async function isKept(projectId: string, password: string): Promise<boolean> {
  const hash = parsePasswordHash((await kept(projectId))[0]?.phc ?? "");
  return typeof hash !== "string" && hash.matches(Buffer.from(password));
}

test("a password is kept as its argon2id hash, the user has changed, and nothing in it tells of the password", async () => {
  const { id, users } = await withAlice();
  await app.clock.advance(1_000);
  const { user } = await users.setPassword({ ref: alice, password: "correct horse" });
  expect(user).toMatchObject({ externalId: "alice", login: "alice", etag: "v2" });
  expect(user?.updateTime?.seconds).toBe(BigInt(app.clock.now() / 1_000));
  expect((await users.getUser({ ref: alice })).user).toEqual(user);
  expect(await kept(id)).toMatchObject([{ user_id: user?.id, imported: false, set_at: app.clock.now() }]);
  expect(await isKept(id, "correct horse")).toBe(true);
  await users.setPassword({ ref: alice, password: "battery staple" });
  expect(await kept(id)).toHaveLength(1);
  expect(await isKept(id, "correct horse")).toBe(false);
  expect(await isKept(id, "battery staple")).toBe(true);
});

test("spaces count, whatever kinds of characters there are, and a letter is the same however it is composed", async () => {
  const { id, users } = await withAlice();
  await users.setPassword({ ref: alice, password: "  \u0041\u030angstro\u0308m  " });
  expect(await isKept(id, "  \u00c5ngstr\u00f6m  ")).toBe(true);
  expect(await isKept(id, "\u00c5ngstr\u00f6m")).toBe(false);
});

test.each([
  ["TOO_SHORT", "the shortest but one", "1a2b3c4"],
  ["TOO_SHORT", "an empty one", ""],
  ["TOO_SHORT", "one that has eight bytes before it is composed", "1234e\u0301"],
  ["TOO_LONG", "the longest but one", "ab".repeat(512) + "c"],
  ["COMMON", "one that is guessed first", "password1"],
  ["COMMON", "the same in capitals", "PassWord1"],
  ["COMMON", "one character over and over", "\u00e4".repeat(12)],
])("%s: %s is refused", async (problem, _, password) => {
  const { id, users } = await withAlice();
  const refusal = await refusalOf(users.setPassword({ ref: alice, password }));
  expect(refusal).toMatchObject({ reason: "PASSWORD_WEAK", metadata: { problem }, fields: ["password"] });
  expect(JSON.stringify(refusal.error.details)).not.toContain(password || "no password");
  expect(await kept(id)).toEqual([]);
});

test.each(["k7#mQ2xv", "ab".repeat(512)])(
  "a password of the shortest and of the longest length is taken",
  async (password) => {
    const { id, users } = await withAlice();
    await users.setPassword({ ref: alice, password });
    expect(await isKept(id, password)).toBe(true);
  },
);

test("only `.system` sets passwords, of users that are there", async () => {
  const { users, signedInUser } = await withAlice();
  const password = "correct horse";
  const own = app.client(UserService, (await signedInUser("bob")).token);
  expect(await reasonOf(own.setPassword({ ref: me, password }))).toBe("PRINCIPAL_NOT_ALLOWED");
  const { user } = await users.getUser({ ref: alice });
  const byId = { ref: { case: "id" as const, value: user?.id ?? "" } };
  await users.deleteUser({ ref: alice });
  expect(await reasonOf(users.setPassword({ ref: alice, password }))).toBe("USER_NOT_FOUND");
  expect(await reasonOf(users.setPassword({ ref: byId, password }))).toBe("USER_DELETED");
  expect(await reasonOf(users.setPassword({ ref: alice, password: "x".repeat(4_097) }))).toBe("REQUEST_INVALID");
});

test("of twenty passwords that are set at once one is left, whole, and each has counted", async () => {
  const { id, users } = await withAlice();
  const passwords = Array.from({ length: 20 }, (_, i) => `correct horse ${i}`);
  await Promise.all(passwords.map((password) => users.setPassword({ ref: alice, password })));
  const matching = await Promise.all(passwords.map((password) => isKept(id, password)));
  expect(matching.filter(Boolean)).toHaveLength(1);
  expect((await users.getUser({ ref: alice })).user?.etag).toBe("v21");
});

test("a password goes with its user, also when it is set in the same moment", async () => {
  const { id, users } = await withAlice();
  await users.setPassword({ ref: alice, password: "correct horse" });
  await users.deleteUser({ ref: alice });
  expect(await kept(id)).toEqual([]);
  for (let i = 0; i < 10; i++) {
    await users.upsertUser({ externalId: "alice" });
    const setting = users.setPassword({ ref: alice, password: `correct horse ${i}` });
    const outcome = setting.then(
      () => "set",
      (error: Error) => reasonOf(Promise.reject(error)),
    );
    await users.deleteUser({ ref: alice });
    expect(["set", "USER_NOT_FOUND", "USER_DELETED"]).toContain(await outcome);
    expect(await kept(id)).toEqual([]);
  }
});
