import { expect, test } from "vitest";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApp, type TestProject } from "../support/start-app.ts";

const app = await startApp();
const { db, clock } = app;
const elsewhere = await startApp({ db, clock });

const ref = (value: string) => ({ ref: { case: "externalId", value } }) as const;
const text = (value: string) => ({ contentType: "text/plain", value: { case: "text", value } }) as const;
const definition = (key: string, filterable = false) => ({ key, contentTypes: ["text/plain"], filterable });

/** Client of `.system` on either server. */
async function servers() {
  const project: TestProject = await app.project();
  const [here, there] = [project.system(UserService), elsewhere.client(UserService, project.accessKey)];
  return { id: project.id, here, there };
}

const valuesOf = async (projectId: string, key: string): Promise<number> => {
  const { rows } = await db.pool.query("select from users where project_id = $1 and attributes ? $2", [projectId, key]);
  return rows.length;
};
const indexOf = async (projectId: string) => {
  const { rows } = await db.pool.query(
    `select u.external_id, key, value from user_attribute_index i join users u on u.project_id = i.project_id and u.id = i.user_id
     where i.project_id = $1 order by external_id, key`,
    [projectId],
  );
  return rows.map((row) => [row.external_id, row.key, row.value]);
};

test("a definition goes with every value of it, and no other's", async () => {
  const { id, here, there } = await servers();
  for (const key of ["a", "b"]) await here.defineAttribute({ definition: definition(key, true) });
  const users = Array.from({ length: 2_500 }, (_, i) => ({
    externalId: `user${i}`,
    user: { attributes: { a: text(`${i}`), ...(i % 2 && { b: text("b") }) } },
  }));
  for (let at = 0; at < users.length; at += 500) await here.batchUpsertUsers({ users: users.slice(at, at + 500) });
  expect(await valuesOf(id, "a")).toBe(2_500);
  await there.deleteAttributeDefinition({ key: "a" });
  expect([await valuesOf(id, "a"), await valuesOf(id, "b")]).toEqual([0, 1_250]);
  expect(await indexOf(id)).toHaveLength(1_250);
  const { user } = await here.getUser({ ref: ref("user1") });
  expect([Object.keys(user?.attributes ?? {}), user?.etag]).toEqual([["b"], "v2"]);
  expect((await here.listAttributeDefinitions({})).definitions.map(({ key }) => key)).toEqual(["b"]);
  expect(await reasonOf(there.deleteAttributeDefinition({ key: "a" }))).toBe("ATTRIBUTE_DEFINITION_NOT_FOUND");
});

test("what one server defines another takes at once, and what it deleted another refuses at once", async () => {
  const { here, there } = await servers();
  await there.upsertUser({ externalId: "alice" });
  await there.listAttributeDefinitions({});
  await here.defineAttribute({ definition: definition("a") });
  await there.setAttributes({ ref: ref("alice"), attributes: { a: text("1") } });
  await here.deleteAttributeDefinition({ key: "a" });
  expect(await reasonOf(there.setAttributes({ ref: ref("alice"), attributes: { a: text("2") } }))).toBe(
    "REQUEST_INVALID",
  );
  expect((await there.getUser({ ref: ref("alice") })).user?.attributes).toEqual({});
});

test("values that are set while their definition is deleted never come up under the next one", async () => {
  const { id, here, there } = await servers();
  await here.batchUpsertUsers({ users: Array.from({ length: 40 }, (_, i) => ({ externalId: `user${i}` })) });
  for (let round = 0; round < 5; round++) {
    await here.defineAttribute({ definition: definition("a", round % 2 === 0) });
    const writers = Array.from({ length: 40 }, (_, i) =>
      [here, there][i % 2]?.setAttributes({ ref: ref(`user${i}`), attributes: { a: text(`${round}`) } }),
    );
    const deleters = [here, there].map((server) => server.deleteAttributeDefinition({ key: "a" }));
    await Promise.allSettled([...writers, ...deleters]);
    expect(await valuesOf(id, "a")).toBe(0);
    expect(await indexOf(id)).toEqual([]);
  }
});

test("a deletion that broke off is finished by the next one, or by the next definition", async () => {
  const { id, here, there } = await servers();
  const breakOff = () =>
    db.pool.query("update attribute_definitions set delete_time = now() where project_id = $1", [id]);
  const set = () => here.upsertUser({ externalId: "alice", user: { attributes: { a: text("1") } } });
  await here.defineAttribute({ definition: definition("a") });
  await set();
  await breakOff();
  await there.defineAttribute({ definition: definition("a") });
  expect(await valuesOf(id, "a")).toBe(0);
  await set();
  await breakOff();
  await there.deleteAttributeDefinition({ key: "a" });
  expect(await valuesOf(id, "a")).toBe(0);
  expect((await there.listAttributeDefinitions({})).definitions).toEqual([]);
});

test("filterable attributes stand in the index as they are now, by their first 256 characters", async () => {
  const { id, here } = await servers();
  await here.defineAttribute({ definition: definition("a", true) });
  await here.defineAttribute({ definition: definition("b") });
  await here.defineAttribute({ definition: { key: "icon", contentTypes: ["image/png"], filterable: true } });
  const icon = { contentType: "image/png", value: { case: "data", value: new Uint8Array(3) } } as const;
  await here.upsertUser({ externalId: "x", user: { attributes: { a: text("𝄞".repeat(300)), b: text("1"), icon } } });
  await here.upsertUser({ externalId: "y", user: { attributes: { a: text("Y") } } });
  expect(await indexOf(id)).toEqual([
    ["x", "a", "𝄞".repeat(256)],
    ["x", "icon", null],
    ["y", "a", "Y"],
  ]);
  await here.setAttributes({ ref: ref("x"), attributes: { a: text("X"), icon: {} } });
  await here.deleteUser({ ref: ref("y") });
  expect(await indexOf(id)).toEqual([["x", "a", "X"]]);
  await here.defineAttribute({ definition: definition("a") });
  await here.defineAttribute({ definition: definition("b", true) });
  expect(await indexOf(id)).toEqual([["x", "b", "1"]]);
});

test("values that are set while their attribute becomes filterable, or no longer, are indexed or not", async () => {
  const { id, here, there } = await servers();
  await here.defineAttribute({ definition: definition("a") });
  const names = Array.from({ length: 30 }, (_, i) => `user${i}`);
  for (let round = 0; round < 6; round++) {
    const filterable = round % 2 === 0;
    await Promise.all([
      ...names.map((name) => there.upsertUser({ externalId: name, user: { attributes: { a: text(`${round}`) } } })),
      here.defineAttribute({ definition: definition("a", filterable) }),
    ]);
    const expected = names.toSorted().map((name) => [name, "a", `${round}`]);
    expect(await indexOf(id)).toEqual(filterable ? expected : []);
  }
});
