import pg from "pg";
import { afterEach, describe, expect, test, vi } from "vitest";
import { removeOldEvents } from "../../src/events/remove-old-events.ts";
import { EventService } from "../../src/gen/muster/v1/event_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { EventReader, type WatchRequest } from "../support/event-reader.ts";
import { refusalOf } from "../support/refusal.ts";
import { settle } from "../support/settled-events.ts";
import { startApp, type TestApp } from "../support/start-app.ts";
import { testWatch } from "../support/watch-behaviour.ts";
import { append, emptyProject, listAll, numbersOf, openConnection } from "./events-fixture.ts";

const here = await startApp();
const { client, clock, db } = here;
const there = await startApp({ db, clock, config: { encryptionKeys: here.config.encryptionKeys } });

const readers: EventReader[] = [];
afterEach(() => readers.splice(0).forEach((reader) => reader.leave()));

/** A project, and readers of it that are up to date. */
async function watched() {
  const project = await emptyProject(here);
  const read = async (request: WatchRequest = {}, app: TestApp = here) => {
    const reader = new EventReader(app.client(EventService, project.accessKey), request);
    readers.push(reader);
    await Promise.race([reader.until("snapshotComplete"), reader.ended]);
    return reader;
  };
  const write = (n: number, options = {}) => append(db.pool, project.id, n, options);
  return { project, read, write };
}

test("a reader is told of what happens from now on, on whichever server, soon after", async () => {
  const { project, read, write } = await watched();
  await write(0);
  await settle(db, project.id);
  const both = [await read(), await read({}, there)];
  for (const reader of both) expect(reader.kinds).toEqual(["snapshotComplete"]);
  const users = client(UserService, project.accessKey, { "muster-origin": "crm" });
  const { user } = await users.upsertUser({ externalId: "ada" });
  for (const reader of both) {
    await reader.until("event");
    expect(reader.events).toMatchObject([{ type: "user.created", userId: user?.id, origin: "crm" }]);
  }
  const listed = await listAll(here, project);
  expect(both.map((reader) => reader.events)).toEqual([listed.events.slice(1), listed.events.slice(1)]);
});

test("from the oldest, a reader is told of all that is kept, that this was all, and of what follows", async () => {
  const { project, read, write } = await watched();
  await write(0, { count: 250 });
  await settle(db, project.id);
  const reader = await read({ fromOldest: true });
  expect(reader.kinds.slice(0, 251)).toEqual([...Array(250).fill("event"), "snapshotComplete"]);
  await write(250, { count: 1_500 });
  await reader.until("event", 1_750);
  expect(numbersOf(reader.events)).toEqual(Array.from({ length: 1_750 }, (_, n) => n));
});

describe("a reader that comes back", () => {
  test("is told of the rest, from each message on, whichever server it comes to", async () => {
    const { project, read, write } = await watched();
    await write(0, { count: 3 });
    await settle(db, project.id);
    const first = await read({ fromOldest: true });
    await write(3, { count: 3 });
    await first.until("event", 6);
    first.leave();
    await write(6);
    await settle(db, project.id);
    let told = 0;
    for (const { cursor, news } of first.messages) {
      if (news.case === "event") told++;
      const second = await read({ cursor }, there);
      expect(numbersOf(second.events)).toEqual([0, 1, 2, 3, 4, 5, 6].slice(told));
      second.leave();
    }
    const { events } = await listAll(here, project, { pageToken: first.cursor });
    expect(numbersOf(events)).toEqual([6]);
  });

  test("with the cursor of a list goes on where that ended", async () => {
    const { project, read, write } = await watched();
    await write(0, { count: 5 });
    const { cursor } = await listAll(here, project, { pageSize: 2 });
    await write(5);
    await settle(db, project.id);
    expect(numbersOf((await read({ cursor })).events)).toEqual([5]);
  });

  test("with a cursor of another project, or none, is refused", async () => {
    const [mine, theirs] = [await watched(), await watched()];
    const { cursor } = await theirs.read();
    for (const wrong of [cursor, "x"]) {
      const stream = mine.project.system(EventService).watchEvents({ cursor: wrong });
      const { reason, fields } = await refusalOf(stream[Symbol.asyncIterator]().next());
      expect([reason, fields]).toEqual(["REQUEST_INVALID", ["cursor"]]);
    }
  });

  test("after what came next was removed is refused, and one that lost nothing goes on", async () => {
    const { project, read, write } = await watched();
    const time = new Date(clock.now() - 31 * 86_400_000);
    await write(0, { time });
    const lost = (await listAll(here, project)).cursor;
    await write(1, { time });
    const kept = (await listAll(here, project)).cursor;
    await write(2);
    await settle(db, project.id);
    await removeOldEvents({ db, clock }, new AbortController().signal);
    expect(await (await read({ cursor: lost })).ended).toBe("EVENT_CURSOR_EXPIRED");
    expect(numbersOf((await read({ cursor: kept })).events)).toEqual([2]);
  });

  test("after long being told nothing that it wants has a cursor that is not older for it", async () => {
    const { project, read, write } = await watched();
    const reader = await read({ types: ["user.deleted"] });
    await write(0, { count: 10, time: new Date(clock.now() - 31 * 86_400_000) });
    await settle(db, project.id);
    const all = await read();
    await write(1);
    await all.until("event");
    await clock.advance(20_000);
    await reader.until("heartbeat");
    await removeOldEvents({ db, clock }, new AbortController().signal);
    await write(2);
    await settle(db, project.id);
    const later = await read({ cursor: reader.cursor });
    expect(later.kinds.slice(-1)).toEqual(["snapshotComplete"]);
    expect(numbersOf(later.events).slice(-1)).toEqual([2]);
  });
});

test("a reader is told of the types and the user it names, and of changes of users only where it asks for them", async () => {
  const { read, write } = await watched();
  const userId = crypto.randomUUID();
  const all = await read();
  const some = await read({ types: ["user.*", "session.ended"] });
  const one = await read({ userId });
  await write(0, { type: "user.updated" });
  await write(1, { type: "user.created", userId });
  await write(2, { type: "session.created", userId });
  await write(3, { type: "session.ended" });
  await all.until("event", 3);
  await some.until("event", 3);
  await one.until("event", 2);
  expect(numbersOf(all.events)).toEqual([1, 2, 3]);
  expect(numbersOf(some.events)).toEqual([0, 1, 3]);
  expect(numbersOf(one.events)).toEqual([1, 2]);
});

test("what is committed late is told late, in its place; a heartbeat says that something is held up", async () => {
  const { read, write, project } = await watched();
  const reader = await read();
  const late = await openConnection(db);
  await late.query("begin");
  await append(late, project.id, 1);
  await write(2);
  const held = async () => {
    await clock.advance(20_000);
    return reader.messages.some(({ news }) => news.case === "heartbeat" && news.value.stale);
  };
  await expect.poll(held, { timeout: 20_000, interval: 500 }).toBe(true);
  expect(reader.events).toEqual([]);
  await late.query("commit");
  await reader.until("event", 2);
  expect(numbersOf(reader.events)).toEqual([1, 2]);
});

test("a hundred readers of a project make the database be asked as often as one does", async () => {
  const { project, read } = await watched();
  const many = await Promise.all(Array.from({ length: 100 }, () => read()));
  const asked = vi.spyOn(pg.Client.prototype, "query");
  for (let n = 0; n < 10; n++) await project.system(UserService).upsertUser({ externalId: `user ${n}` });
  for (const reader of many) await reader.until("event", 10);
  const names = asked.mock.calls.map(([statement]) => (statement as { name?: string }).name ?? "");
  asked.mockRestore();
  expect(names.filter((name) => name.startsWith("users_upsert"))).toHaveLength(10);
  expect(names.filter((name) => name.startsWith("events_history")).length).toBeLessThan(100);
});

testWatch({
  app: here,
  heartbeatMs: 20_000,
  itemKind: "event",
  contentOf: ({ news }) => news.value,
  watch: (credential) => client(EventService, credential).watchEvents({}),
  async open() {
    const { project, read, write } = await watched();
    return { project, reader: await read(), write: () => write(0) };
  },
});
