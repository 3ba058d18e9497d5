import { describe, expect, test } from "vitest";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { settledEvents } from "../support/settled-events.ts";
import { startApp } from "../support/start-app.ts";
import { alice, data, held, NONE, projectWith, text } from "./attributes-fixture.ts";

const app = await startApp();
const { db } = app;

describe("attributes", () => {
  test("are set one by one, and removed by a value that is none", async () => {
    const { users } = await projectWith(app, { key: "firstName" }, { key: "lastName" }, { key: "constructor" });
    const set = async (attributes: Record<string, object>) =>
      held((await users.setAttributes({ ref: alice, attributes })).user);
    expect(await set({ firstName: text("Ann"), constructor: text("x") })).toEqual({
      firstName: "Ann",
      constructor: "x",
    });
    expect(await set({ lastName: text("Lee"), constructor: NONE })).toEqual({ firstName: "Ann", lastName: "Lee" });
    expect(await set({ firstName: { contentType: "text/plain" } })).toEqual({ lastName: "Lee" });
    const { user } = await users.getUser({ ref: alice });
    expect([held(user), user?.etag]).toEqual([{ lastName: "Lee" }, "v4"]);
    await set({ lastName: text("Lee"), firstName: NONE });
    expect((await users.getUser({ ref: alice })).user?.etag).toBe("v4");
  });

  test("of every kind come back as they were given, byte by byte", async () => {
    const { users } = await projectWith(
      app,
      { key: "note" },
      { key: "settings", contentTypes: ["application/json"] },
      { key: "icon", contentTypes: ["image/png", "application/octet-stream"], canBeEmpty: true },
      { key: "blank", canBeEmpty: true },
    );
    const attributes = {
      note: text("  ﷽ \u202e Ω\r\n\u0001 ".repeat(3)),
      settings: text('{ "b": 1.0, "a": [1e400, "\\u0041"], "b": 2 }', "application/json"),
      icon: data(Uint8Array.from({ length: 8_192 }, (_, i) => i % 256)),
      blank: text(""),
    };
    const { user } = await users.setAttributes({ ref: alice, attributes });
    expect(user?.attributes).toMatchObject(attributes);
    expect((await users.getUser({ ref: alice })).user?.attributes).toEqual(user?.attributes);
    const empty = data(new Uint8Array(), "application/octet-stream");
    expect(held((await users.setAttributes({ ref: alice, attributes: { icon: empty } })).user)["icon"]).toHaveLength(0);
  });

  test.each<[string, string, object]>([
    ["that are not defined", "other", text("a")],
    ["that are not defined and removed", "other", NONE],
    ["named like a member of every object", "toString", text("a")],
    ["of another content type", "note", text("a", "text/markdown")],
    ["of no content type", "note", text("a", "")],
    ["that are empty", "note", text("")],
    ["that are empty data", "icon", data(new Uint8Array())],
    ["of text given as data", "note", data(new Uint8Array(1), "text/plain")],
    ["of data given as text", "icon", text("a", "image/png")],
    ["of JSON that is none", "settings", text("{a:1}", "application/json")],
  ])("%s are refused by the name of the field", async (_name, key, value) => {
    const { users } = await projectWith(
      app,
      { key: "note" },
      { key: "icon", contentTypes: ["image/png"] },
      { key: "settings", contentTypes: ["application/json"] },
    );
    const call = users.setAttributes({ ref: alice, attributes: { [key]: value } });
    expect(await refusalOf(call)).toMatchObject({ reason: "REQUEST_INVALID", fields: [`attributes["${key}"]`] });
    const upsert = users.upsertUser({ externalId: "bob", user: { attributes: { [key]: value } } });
    expect(await refusalOf(upsert)).toMatchObject({ reason: "REQUEST_INVALID", fields: [`user.attributes["${key}"]`] });
    expect(held((await users.getUser({ ref: alice })).user)).toEqual({});
    expect(await reasonOf(users.getUser({ ref: { ref: { case: "externalId", value: "bob" } } }))).toBe(
      "USER_NOT_FOUND",
    );
  });

  test.each<[string, object]>([
    ["text over 16 KiB", { note: text("é".repeat(8_193)) }],
    ["data over 8 KiB", { note: data(new Uint8Array(8_193)) }],
    ["a key that none can have", { "a b": text("a") }],
    ["none at all", {}],
  ])("are refused with %s", async (_name, attributes) => {
    const { users } = await projectWith(app, { key: "note" });
    expect(await reasonOf(users.setAttributes({ ref: alice, attributes: { ...attributes } }))).toBe("REQUEST_INVALID");
  });

  test("of one user take 64 KiB in all, whoever adds the last of them", async () => {
    const keys = ["a", "b", "c", "d", "e"];
    const { users } = await projectWith(app, ...keys.map((key) => ({ key })));
    const full = text("x".repeat(16_384));
    const outcomes = await Promise.allSettled(
      keys.map((key) => users.setAttributes({ ref: alice, attributes: { [key]: full } })),
    );
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(3);
    expect(
      await refusalOf(
        users.upsertUser({
          externalId: "bob",
          user: { attributes: Object.fromEntries(keys.map((key) => [key, full])) },
        }),
      ),
    ).toMatchObject({
      reason: "REQUEST_INVALID",
      fields: ["attributes"],
    });
    expect(Object.keys(held((await users.getUser({ ref: alice })).user))).toHaveLength(3);
  });

  test("of a user that is not there, or was deleted, are refused", async () => {
    const { users } = await projectWith(app, { key: "a" });
    const id = (await users.getUser({ ref: alice })).user?.id ?? "";
    await users.deleteUser({ ref: alice });
    expect(await reasonOf(users.setAttributes({ ref: alice, attributes: { a: text("1") } }))).toBe("USER_NOT_FOUND");
    const byId = { ref: { case: "id", value: id } } as const;
    expect(await reasonOf(users.setAttributes({ ref: byId, attributes: { a: text("1") } }))).toBe("USER_DELETED");
  });

  test("of one project are not those of another, though they share the key", async () => {
    const one = await projectWith(app, { key: "a" });
    const other = await projectWith(app, { key: "a", contentTypes: ["application/json"] });
    await one.users.setAttributes({ ref: alice, attributes: { a: text("mine") } });
    await other.users.deleteAttributeDefinition({ key: "a" });
    expect(held((await one.users.getUser({ ref: alice })).user)).toEqual({ a: "mine" });
    expect(await reasonOf(other.users.setAttributes({ ref: alice, attributes: { a: text("x") } }))).toBe(
      "REQUEST_INVALID",
    );
  });

  test("that twenty callers set at once are all there", async () => {
    const keys = Array.from({ length: 20 }, (_, i) => `k${i}`);
    const { users } = await projectWith(app, ...keys.map((key) => ({ key, filterable: true })));
    await Promise.all(keys.map((key) => users.setAttributes({ ref: alice, attributes: { [key]: text(key) } })));
    expect(Object.keys(held((await users.getUser({ ref: alice })).user)).toSorted()).toEqual(keys.toSorted());
  });
});

describe("a user is written with its attributes", () => {
  test("by an upsert, whose event has them", async () => {
    const { project, users } = await projectWith(app, { key: "a" }, { key: "b" });
    const upsert = async (user: object, ...paths: string[]) =>
      held((await users.upsertUser({ externalId: "bob", user, updateMask: { paths } })).user);
    expect(await upsert({ name: "B", attributes: { a: text("1"), b: text("2") } })).toEqual({ a: "1", b: "2" });
    expect(await upsert({ name: "C" })).toEqual({ a: "1", b: "2" });
    expect(await upsert({ attributes: { a: text("3") } })).toEqual({ a: "3", b: "2" });
    expect(await upsert({ attributes: { a: text("4") } }, "name")).toEqual({ a: "3", b: "2" });
    expect(await upsert({ attributes: { b: NONE } })).toEqual({ a: "3" });
    expect(await upsert({ attributes: { b: text("5") } }, "attributes")).toEqual({ b: "5" });
    expect(await upsert({}, "attributes")).toEqual({});
    const created = (await settledEvents(db, project.id)).filter(({ type }) => type === "user.created");
    expect(created.map(({ data }) => (data as { user: { attributes: object } }).user.attributes)).toEqual([
      {},
      { a: { content_type: "text/plain", text: "1" }, b: { content_type: "text/plain", text: "2" } },
    ]);
  });

  test("in a batch, where one that breaks a rule fails alone", async () => {
    const { users } = await projectWith(app, { key: "a" }, { key: "b" });
    const item = (externalId: string, attributes: object, ...paths: string[]) => ({
      externalId,
      user: { attributes: { ...attributes } },
      updateMask: { paths },
    });
    await users.upsertUser(item("old", { a: text("1"), b: text("2") }));
    const { results } = await users.batchUpsertUsers({
      users: [
        item("x", { a: text("1") }),
        item("y", { other: text("1") }),
        item("old", { a: NONE }),
        item("z", { a: text(""), b: text("1") }),
        item("x", { b: text("2") }),
        item("x", { b: text("3") }, "attributes"),
      ],
    });
    expect(results.map(({ user, created, error }) => (error ? "refused" : [held(user), created]))).toEqual([
      [{ a: "1" }, true],
      "refused",
      [{ b: "2" }, false],
      "refused",
      [{ a: "1", b: "2" }, false],
      [{ b: "3" }, false],
    ]);
  });
});
