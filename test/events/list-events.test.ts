import { randomUUID } from "node:crypto";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { EventService } from "../../src/gen/muster/v1/event_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { append, emptyProject, listAll, numbersOf, openConnection } from "./events-fixture.ts";

const app = await startApp();
const { db, client, clock } = app;

test("an event says what happened to whom, when, and what the caller said of where it comes from", async () => {
  const project = await emptyProject(app);
  const users = client(UserService, project.accessKey, { "muster-origin": "crm" });
  const { user } = await users.upsertUser({ externalId: "ada", user: { name: "Ada", tags: ["a"] } });
  const { events } = await listAll(app, project);
  expect(events).toMatchObject([{ type: "user.created", projectId: project.id, userId: user?.id, origin: "crm" }]);
  expect(events[0]?.id).toMatch(/^[0-9a-f-]{36}$/);
  expect(events[0]?.createTime && timestampMs(events[0].createTime)).toBe(clock.now());
  expect(events[0]?.data).toMatchObject({ user: { id: user?.id, external_id: "ada", name: "Ada", tags: ["a"] } });
});

test("pages give every event once, in order; the last cursor goes on with what has happened since", async () => {
  const project = await emptyProject(app);
  await append(db.pool, project.id, 0, { count: 25 });
  const first = await listAll(app, project, { pageSize: 10 });
  expect(first.sizes).toEqual([10, 10, 5]);
  expect(numbersOf(first.events)).toEqual(Array.from({ length: 25 }, (_, n) => n));
  const nothing = await listAll(app, project, { pageToken: first.cursor });
  expect(nothing.events).toEqual([]);
  await append(db.pool, project.id, 25, { count: 2 });
  for (const pageToken of [first.cursor, nothing.cursor])
    expect(numbersOf((await listAll(app, project, { pageToken })).events)).toEqual([25, 26]);
  expect((await listAll(app, project)).sizes).toEqual([27]);
});

test("a page that just fits is the last one", async () => {
  const project = await emptyProject(app);
  await append(db.pool, project.id, 0, { count: 20 });
  expect((await listAll(app, project, { pageSize: 10 })).sizes).toEqual([10, 10]);
});

test("without an event there is a cursor to come back with", async () => {
  const project = await emptyProject(app);
  const { cursor, events } = await listAll(app, project);
  expect(events).toEqual([]);
  await append(db.pool, project.id, 7);
  expect(numbersOf((await listAll(app, project, { pageToken: cursor })).events)).toEqual([7]);
});

describe("types", () => {
  const written = ["user.created", "user.updated", "user.deleted", "session.created", "user_group.created"];

  test.for([
    { types: [], listed: ["user.created", "user.deleted", "session.created", "user_group.created"] },
    { types: ["user.updated"], listed: ["user.updated"] },
    { types: ["user.*"], listed: ["user.created", "user.updated", "user.deleted"] },
    { types: ["session.*", "user.deleted"], listed: ["user.deleted", "session.created"] },
    { types: ["session"], listed: [] },
  ])("$types are $listed", async ({ types, listed }) => {
    const project = await emptyProject(app);
    for (const [n, type] of written.entries()) await append(db.pool, project.id, n, { type });
    expect((await listAll(app, project, { types })).events.map(({ type }) => type)).toEqual(listed);
  });

  test.for(["*", "user.", ".created", "User.created", "user.*.x", "user created"])("%s is none", async (type) => {
    const service = (await app.project()).system(EventService);
    expect((await refusalOf(service.listEvents({ types: [type] }))).fields).toEqual(["types[0]"]);
  });

  test("that are rare are found behind many others, and whoever comes to want others goes on where it was", async () => {
    const project = await emptyProject(app);
    await append(db.pool, project.id, 0, { count: 25_000 });
    await append(db.pool, project.id, 1, { type: "user.deleted" });
    const { events, cursor, sizes } = await listAll(app, project, { types: ["user.deleted"] });
    expect([events.length, sizes]).toEqual([1, [0, 0, 1]]);
    await append(db.pool, project.id, 25_000);
    expect(numbersOf((await listAll(app, project, { pageToken: cursor })).events)).toEqual([25_000]);
  });
});

test("the events of one user are listed alone, also when it is gone", async () => {
  const project = await emptyProject(app);
  const users = project.system(UserService);
  const { user } = await users.upsertUser({ externalId: "ada" });
  await users.upsertUser({ externalId: "bob" });
  await users.deleteUser({ ref: { ref: { case: "externalId", value: "ada" } } });
  const { events, cursor } = await listAll(app, project, { userId: user?.id ?? "", pageSize: 1 });
  expect(events.map(({ type }) => type)).toEqual(["user.created", "user.deleted"]);
  const others = await listAll(app, project, { pageToken: cursor });
  expect(others.events).toEqual([]);
  expect((await listAll(app, project, { userId: randomUUID() })).events).toEqual([]);
});

test("what is not settled is listed later, and then in its place", async () => {
  const project = await emptyProject(app);
  const late = await openConnection(db);
  await late.query("begin");
  await append(late, project.id, 1);
  await append(db.pool, project.id, 2);
  const service = project.system(EventService);
  const { events, cursor } = await service.listEvents({});
  expect(events).toEqual([]);
  await late.query("commit");
  expect(numbersOf((await listAll(app, project, { pageToken: cursor })).events)).toEqual([1, 2]);
});

test("of two changes of one thing the later one stands behind, though its transaction began before the other", async () => {
  const project = await emptyProject(app);
  const { id } = await project.signedInUser("ada");
  const [waiting, first] = [await openConnection(db), await openConnection(db)];
  await waiting.query("begin");
  await waiting.query("select pg_current_xact_id()");
  await first.query("begin");
  await first.query("select from users where id = $1 for update", [id]);
  await append(first, project.id, 1);
  // It waits for the lock, and its snapshot is from before the other one is committed.
  const change = waiting.query(
    `with locked as materialized (select project_id from users where id = $1 for update)
     insert into events (project_id, id, type, data, create_time) select project_id, gen_random_uuid(), 'test.counted', '{"n": 2}', now() from locked`,
    [id],
  );
  const blocked = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
  await expect.poll(async () => (await db.pool.query(blocked)).rowCount).toBe(1);
  await first.query("commit");
  await change;
  await waiting.query("commit");
  expect(numbersOf((await listAll(app, project, { types: ["test.*"] })).events)).toEqual([1, 2]);
});

test("a cursor is good in its project alone, as it was given", async () => {
  const [mine, theirs] = [await emptyProject(app), await emptyProject(app)];
  await append(db.pool, mine.id, 1);
  const { cursor } = await listAll(app, mine);
  for (const pageToken of [`${cursor}A`, "x", cursor.slice(1)])
    expect((await refusalOf(mine.system(EventService).listEvents({ pageToken }))).fields).toEqual(["page_token"]);
  expect((await refusalOf(theirs.system(EventService).listEvents({ pageToken: cursor }))).fields).toEqual([
    "page_token",
  ]);
});

test("users and those without a credential list no events", async () => {
  const { token } = await (await app.project()).signedInUser("ada");
  expect(await reasonOf(client(EventService, token).listEvents({}))).toBe("PRINCIPAL_NOT_ALLOWED");
  expect(await reasonOf(client(EventService).listEvents({}))).toBe("CREDENTIAL_MISSING");
});
