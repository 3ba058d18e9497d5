import { describe, expect, test } from "vitest";
import { Access } from "../../src/gen/muster/v1/access_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { alice, type Definition, held, projectWith, text } from "./attributes-fixture.ts";

const app = await startApp();
const { client } = app;

describe("a definition", () => {
  test("says what it was given, its defaults filled in, and is listed by its key", async () => {
    const { users } = await projectWith(app, { key: "lastName" });
    const { definition } = await users.defineAttribute({
      definition: {
        key: "avatar.small",
        contentTypes: ["image/png", "image/webp"],
        canBeEmpty: true,
        writers: [Access.SELF],
      },
    });
    expect(definition).toMatchObject({
      key: "avatar.small",
      contentTypes: ["image/png", "image/webp"],
      canBeEmpty: true,
      readers: [Access.SYSTEM, Access.USER],
      writers: [Access.SYSTEM, Access.SELF],
      filterable: false,
    });
    const { definitions } = await users.listAttributeDefinitions({});
    expect(definitions).toEqual([definition, expect.objectContaining({ key: "lastName", writers: [Access.SYSTEM] })]);
  });

  test("that is defined again is changed; what users hold stays until it is set anew", async () => {
    const { users } = await projectWith(app, { key: "name", canBeEmpty: true });
    await users.setAttributes({ ref: alice, attributes: { name: text("") } });
    await users.defineAttribute({ definition: { key: "name", contentTypes: ["text/markdown"] } });
    expect(held((await users.getUser({ ref: alice })).user)).toEqual({ name: "" });
    expect(await reasonOf(users.setAttributes({ ref: alice, attributes: { name: text("a") } }))).toBe(
      "REQUEST_INVALID",
    );
    expect((await users.listAttributeDefinitions({})).definitions).toMatchObject([
      { key: "name", contentTypes: ["text/markdown"], canBeEmpty: false },
    ]);
  });

  test.each<[string, Definition]>([
    ["a key that begins with a digit", { key: "1st" }],
    ["a key of 65 characters", { key: "k".repeat(65) }],
    ["a key with a space", { key: "first name" }],
    ["a key of another alphabet", { key: "имя" }],
    ["no content type", { key: "a", contentTypes: [] }],
    ["a content type twice", { key: "a", contentTypes: ["text/plain", "text/plain"] }],
    ["what is no MIME type", { key: "a", contentTypes: ["text"] }],
    ["a MIME type with a parameter", { key: "a", contentTypes: ["text/plain; charset=utf-8"] }],
    ["readers that nobody is", { key: "a", readers: [Access.ANONYMOUS] }],
    ["writers that are not the user", { key: "a", writers: [Access.USER] }],
  ])("is refused with %s", async (_name, definition) => {
    const users = (await app.project()).system(UserService);
    const call = users.defineAttribute({ definition: { contentTypes: ["text/plain"], ...definition } });
    expect(await reasonOf(call)).toBe("REQUEST_INVALID");
  });

  test("comes at most a hundred times, however many are defined at once", async () => {
    const users = (await app.project()).system(UserService);
    const define = (i: number) => users.defineAttribute({ definition: { key: `k${i}`, contentTypes: ["text/plain"] } });
    const from = (first: number, length: number) => Array.from({ length }, (_, i) => define(first + i));
    for (let i = 0; i < 90; i += 10) await Promise.all(from(i, 10));
    // Twenty race for the last ten places.
    const calls = from(90, 20);
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(10);
    expect((await users.listAttributeDefinitions({})).definitions).toHaveLength(100);
    const refused = calls[outcomes.findIndex(({ status }) => status === "rejected")];
    expect(await refusalOf(refused ?? define(200))).toMatchObject({
      reason: "REQUEST_INVALID",
      fields: ["definition.key"],
    });
    await define(Number((await users.listAttributeDefinitions({})).definitions[0]?.key.slice(1)));
  });

  test("is for `.system` to make, list and delete", async () => {
    const { project } = await projectWith(app, { key: "name" });
    const users = client(UserService, (await project.signedInUser("alice")).token);
    const reasons = await Promise.all([
      reasonOf(users.defineAttribute({ definition: { key: "a", contentTypes: ["text/plain"] } })),
      reasonOf(users.listAttributeDefinitions({})),
      reasonOf(users.deleteAttributeDefinition({ key: "name" })),
    ]);
    expect(reasons).toEqual(Array.from({ length: 3 }, () => "PRINCIPAL_NOT_ALLOWED"));
  });
});
