import { expect, test } from "vitest";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";

const { client, db, project } = await startApp();
const { id: projectId, system, signedInUser } = await project();
const users = system(UserService);
const { token } = await signedInUser("alice");
const alice = { ref: { case: "externalId" as const, value: "alice" } };

test.each([
  "abc",
  "_a_",
  "Zoë_42",
  "Straße",
  "o.neil-2",
  "alice@example.org",
  "a+b",
  "x".repeat(70),
  "Nguyễn",
  "алиса",
  "Ελένη",
  "ალისა",
  "אליס",
  "أليس",
  "राजेश",
  "สมชาย",
  "田中太郎",
  "たなかTaro",
  "김철수kim",
  "王小明Wang",
])("the login %s is taken and comes back as it was written", async (login) => {
  const { user } = await users.updateUser({ ref: alice, user: { login } });
  expect(user?.login).toBe(login);
  expect((await users.getUser({ ref: { ref: { case: "login", value: login } } })).user?.id).toBe(user?.id);
});

test.each([
  ["that mixes Latin and Cyrillic", "p\u0430ypal"],
  ["that mixes Latin and Greek", "\u03b1lice"],
  ["that mixes Cyrillic and Greek", "\u0430\u03b1\u0431"],
  ["of a script that is not in use", "\u{10330}\u{10331}\u{10332}"],
  ["with a Cherokee letter", "\u13a0\u13a1\u13a2"],
  ["with a zero-width space", "ali\u200bce"],
  ["with a zero-width joiner", "ali\u200dce"],
  ["with a soft hyphen", "ali\u00adce"],
  ["with a bidirectional override", "ali\u202ece"],
  ["with a Hangul filler", "ali\u3164ce"],
  ["with a variation selector", "alice\ufe0f"],
  ["with a control character", "ali\u0007ce"],
  ["with a space", "ali ce"],
  ["with a line end", "alice\n"],
  ["with an emoji", "alice😀"],
  ["with a tag", "alice\u{e0061}"],
  ["with a private character", "alice\ue000"],
  ["that is not composed", "Zoe\u0308_42"],
  ["in fullwidth letters", "\uff41\uff4c\uff49ce"],
  ["with a ligature", "o\ufb03ce"],
  ["in mathematical letters", "\u{1d41a}\u{1d41b}\u{1d41c}"],
  ["with the Kelvin sign", "\u212aelvin"],
  ["with a long s", "\u017fam"],
  ["with digits of another script", "alice\u0661\u0662"],
  ["with a heap of marks", "z\u0335\u0336\u0337\u0338algo"],
  ["that begins with a mark", "\u0301abc"],
  ["that begins with a dot", ".system"],
  ["that names a principal", ".anonymous"],
  ["that ends with a hyphen", "alice-"],
  ["of markup", "<b>alice</b>"],
  ["of SQL", "a';drop table users"],
  ["that is reserved", "admin"],
  ["that is reserved in any case", "RooT"],
  ["that looks like a reserved one by its signs", "r00t"],
  ["that looks like a reserved one by its letters", "adrnin"],
  ["that looks like a reserved one by two letters for one", "Rnuster"],
  ["that looks like a reserved one whose capitals look like others", "adm1n"],
  ["that looks like a reserved one in another script", "һеӏр"],
  ["that looks like a reserved one in the capitals of another script", "гооТ"],
  ["that is too short", "ab"],
  ["that is too long", "x".repeat(71)],
])("a login %s is refused, however it is written", async (_, login) => {
  const invalid = { reason: "REQUEST_INVALID", fields: ["user.login"] };
  const own = client(UserService, token);
  const me = { ref: { case: "me" as const, value: true } };
  expect(await refusalOf(users.updateUser({ ref: alice, user: { login } }))).toMatchObject(invalid);
  expect(await refusalOf(own.updateUser({ ref: me, user: { login } }))).toMatchObject(invalid);
  expect(await refusalOf(users.upsertUser({ externalId: "new", user: { login } }))).toMatchObject(invalid);
  const { results } = await users.batchUpsertUsers({ users: [{ user: { login } }, { externalId: "beside" }] });
  expect(results[0]?.error?.message).toMatch(/^The request is not valid: user\.login: /);
  expect(results[1]?.error).toBeUndefined();
});

test("a login from before there were rules goes on working for its user, and is given to nobody else", async () => {
  const login = "Old Login!";
  await users.upsertUser({ externalId: "old", user: { name: "Old" } });
  const sql = "update users set login = $2, login_key = lower($2) where project_id = $1 and external_id = 'old'";
  await db.pool.query(sql, [projectId, login]);
  expect((await users.getUser({ ref: { ref: { case: "login", value: "old login!" } } })).user?.name).toBe("Old");
  expect((await users.upsertUser({ externalId: "old", user: { login, name: "Still" } })).user).toMatchObject({ login });
  const { results } = await users.batchUpsertUsers({ users: [{ externalId: "old", user: { login, bio: "b" } }] });
  expect(results[0]?.user).toMatchObject({ login, bio: "b" });
  expect(await reasonOf(users.upsertUser({ externalId: "other", user: { login } }))).toBe("LOGIN_TAKEN");
  expect(await reasonOf(users.updateUser({ ref: alice, user: { login: "Old Login?" } }))).toBe("REQUEST_INVALID");
});
