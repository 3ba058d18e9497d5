import { expect, test } from "vitest";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { skeletonOf } from "../../src/skeleton.ts";
import { faultOfLogin } from "../../src/users/login.ts";
import { loginKey } from "../../src/users/user-key.ts";
import { createRandom } from "../support/random.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";

const { client, db, project } = await startApp();
const byLogin = (value: string) => ({ ref: { ref: { case: "login" as const, value } } });
const byExternalId = (value: string) => ({ ref: { case: "externalId" as const, value } });

test.each([
  ["сосо", "coco"],
  ["corner", "comer"],
  ["b0b", "Bob"],
  ["paypa1", "paypal"],
  ["AIice", "Alice"],
  ["Ivan", "lvan"],
  ["ivan", "1van"],
  ["אליס42", "42אליס"],
])("beside %s nobody takes %s, which finds nobody", async (login, alike) => {
  const { system, signedInUser } = await project();
  const users = system(UserService);
  const { user } = await users.upsertUser({ externalId: "first", user: { login } });
  const { token } = await signedInUser("second");
  const own = client(UserService, token);
  const asked = { login: alike };
  expect(await reasonOf(users.upsertUser({ externalId: "third", user: asked }))).toBe("LOGIN_TAKEN");
  expect(await reasonOf(users.upsertUser({ externalId: "second", user: asked }))).toBe("LOGIN_TAKEN");
  expect(await reasonOf(users.updateUser({ ref: byExternalId("second"), user: asked }))).toBe("LOGIN_TAKEN");
  expect(await reasonOf(own.updateUser({ ref: { ref: { case: "me", value: true } }, user: asked }))).toBe(
    "LOGIN_TAKEN",
  );
  const { results } = await users.batchUpsertUsers({
    users: [
      { user: asked },
      { externalId: "second", user: asked },
      { externalId: "beside", user: { login: "beside" } },
    ],
  });
  expect(results.map(({ error }) => error?.message)).toEqual([
    expect.stringContaining("login"),
    expect.stringContaining("login"),
    undefined,
  ]);
  expect(await reasonOf(users.getUser(byLogin(alike)))).toBe("USER_NOT_FOUND");
  expect((await users.getUser(byLogin(login))).user?.id).toBe(user?.id);
});

test("what looks like a user's own login is free to that user, and to others once it is given up", async () => {
  const users = (await project()).system(UserService);
  const first = { externalId: "first" };
  for (const login of ["сосо", "coco", "COCO", "c0co"])
    expect((await users.upsertUser({ ...first, user: { login } })).user?.login).toBe(login);
  expect(await reasonOf(users.upsertUser({ user: { login: "сосо" } }))).toBe("LOGIN_TAKEN");
  await users.upsertUser({ ...first, user: { login: "gone" } });
  const { user } = await users.upsertUser({ user: { login: "сосо" } });
  await users.deleteUser({ ref: { ref: { case: "id", value: user?.id ?? "" } } });
  expect((await users.upsertUser({ user: { login: "coco" } })).created).toBe(true);
  await users.upsertUser({ ...first, user: { login: "other" } });
  await users.updateUser({ ref: byExternalId("first"), user: {}, updateMask: { paths: ["login"] } });
  expect((await users.upsertUser({ user: { login: "0ther" } })).created).toBe(true);
});

test("a login that looks like one of another project is free", async () => {
  for (const login of ["сосо", "coco"])
    expect((await (await project()).system(UserService).upsertUser({ user: { login } })).created).toBe(true);
});

test("of twenty look-alikes that are asked for at once one is taken, made or changed to", async () => {
  const users = (await project()).system(UserService);
  const spellings = ["moro", "rnoro", "m0r0", "mor0", "m0ro", "rn0ro", "rnor0", "rn0r0", "MORO", "RNORO"];
  for (let n = 0; n < 10; n++) await users.upsertUser({ externalId: `there ${n}` });
  const outcomes = await Promise.all([
    ...spellings.map((login) => users.upsertUser({ user: { login } }).then(() => "taken", reasonOfError)),
    ...spellings.map((login, n) =>
      users.updateUser({ ref: byExternalId(`there ${n}`), user: { login } }).then(() => "taken", reasonOfError),
    ),
  ]);
  expect(outcomes.toSorted()).toEqual([...Array.from({ length: 19 }, () => "LOGIN_TAKEN"), "taken"]);
});
const reasonOfError = (error: unknown) => reasonOf(Promise.reject(error));

/** Letters, digits and runs of them that make logins which look alike now and then. */
const PIECES = {
  Latin: ["a", "o", "O", "0", "l", "I", "1", "i", "rn", "m", "c", "C", "ı", "n", ".", "_"],
  Cyrillic: ["а", "о", "О", "0", "ӏ", "І", "1", "і", "с", "С", "п", "р", ".", "_"],
  Greek: ["α", "ο", "Ο", "0", "ι", "Ι", "1", "ν", "σ", "ς", "Σ", "ρ", ".", "_"],
  Hebrew: ["ו", "ן", "ס", "א", "0", "1", "י", ".", "-", "_"],
};

test("of random logins exactly those are refused that are equal to a held one or have its skeleton", async () => {
  const users = (await project()).system(UserService);
  const random = createRandom(11);
  const pick = <T>(of: readonly T[]) => of[random(of.length)] as T;
  const held: string[] = [];
  const faults: unknown[] = [];
  let alike = 0;
  for (let n = 0; n < 1_000; n++) {
    const pieces = pick(Object.values(PIECES));
    const login = Array.from({ length: 2 + random(3) }, () => pick(pieces)).join("");
    if (login.length < 3 || faultOfLogin(login)) continue;
    const same = held.some((it) => loginKey(it) === loginKey(login));
    const other = held.find((it) => skeletonOf(it) === skeletonOf(login));
    if (other && !same) alike++;
    const outcome = await users.upsertUser({ user: { login } }).then(() => "created", reasonOfError);
    if (outcome !== (same || other ? "LOGIN_TAKEN" : "created")) faults.push({ login, outcome, other });
    if (outcome === "created") held.push(login);
  }
  expect(faults).toEqual([]);
  expect(alike).toBeGreaterThan(30);
  expect(held.length).toBeGreaterThan(200);
});

test("users whose logins looked alike before it was asked for keep them, and nobody joins them", async () => {
  const { id: projectId, system } = await project();
  const users = system(UserService);
  await users.upsertUser({ externalId: "first", user: { login: "coco" } });
  await users.upsertUser({ externalId: "second" });
  const sql = "update users set login = $2, login_key = $2 where project_id = $1 and external_id = 'second'";
  await db.pool.query(sql, [projectId, "сосо"]);
  const again = await users.upsertUser({ externalId: "second", user: { login: "сосо", name: "Second" } });
  expect(again.user).toMatchObject({ login: "сосо", name: "Second" });
  const { results } = await users.batchUpsertUsers({ users: [{ externalId: "second", user: { login: "сосо" } }] });
  expect(results[0]?.user?.login).toBe("сосо");
  expect((await users.getUser(byLogin("сосо"))).user?.externalId).toBe("second");
  expect((await users.getUser(byLogin("coco"))).user?.externalId).toBe("first");
  expect(await reasonOf(users.upsertUser({ user: { login: "c0co" } }))).toBe("LOGIN_TAKEN");
});
