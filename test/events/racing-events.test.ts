import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { connectionOptions } from "../../src/db/orm.ts";
import { EventService } from "../../src/gen/muster/v1/event_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { EventReader } from "../support/event-reader.ts";
import { createRandom } from "../support/random.ts";
import { startApp } from "../support/start-app.ts";
import { append, emptyProject, listAll, numbersOf } from "./events-fixture.ts";

const here = await startApp({ clock: systemClock });
const { db } = here;
const there = await startApp({ db, clock: systemClock, config: { encryptionKeys: here.config.encryptionKeys } });

test("twenty writers of short and long transactions: readers that are cut anywhere are told of each event once, in one order", async () => {
  const project = await emptyProject(here);
  const random = createRandom(7);
  const WRITERS = 20;
  const EACH = 25;
  const writers = Array.from({ length: WRITERS }, async (_, writer) => {
    const connection = new pg.Client(connectionOptions(db.address));
    await connection.connect();
    for (let n = 0; n < EACH; n++) {
      await connection.query("begin");
      await append(connection, project.id, writer * 1_000 + n);
      if (random(5) === 0) await sleep(random(60));
      await connection.query("commit");
    }
    await connection.end();
  });
  /** Reads until all is there, leaving after some messages and going on at one of two servers. */
  const follow = async (): Promise<number[]> => {
    const seen: number[] = [];
    for (let cursor = ""; seen.length < WRITERS * EACH; ) {
      const app = random(2) === 0 ? here : there;
      const most = 1 + random(60);
      const client = app.client(EventService, project.accessKey);
      const left = new AbortController();
      let messages = 0;
      for await (const message of client.watchEvents({ cursor, fromOldest: true }, { signal: left.signal })) {
        if (message.news.case === "event") seen.push(...numbersOf([message.news.value]));
        cursor = message.cursor;
        if (++messages === most || seen.length === WRITERS * EACH) break;
      }
      left.abort();
    }
    return seen;
  };
  const followed = await Promise.all([follow(), follow(), follow(), ...writers]);
  const { events } = await listAll(here, project, { pageSize: 1_000 });
  const order = numbersOf(events);
  expect(new Set(order).size).toBe(WRITERS * EACH);
  expect(followed.slice(0, 3)).toEqual([order, order, order]);
  // What one connection did one after the other stands so.
  for (let writer = 0; writer < WRITERS; writer++) {
    const its = order.filter((n) => Math.floor(n / 1_000) === writer);
    expect(its).toEqual(its.toSorted((a, b) => a - b));
  }
}, 120_000);

test("each of 10,000 users is there to be read by whoever is told that it was created", async () => {
  const project = await emptyProject(here);
  const USERS = 10_000;
  const readings: Promise<unknown>[] = [];
  const users = there.client(UserService, project.accessKey);
  const checked = new Set<string>();
  const reader = new EventReader(here.client(EventService, project.accessKey), { types: ["user.created"] }, () => {
    const news = reader.messages.at(-1)?.news;
    if (news?.case !== "event") return;
    const id = news.value.userId;
    readings.push(
      users.getUser({ ref: { ref: { case: "id", value: id } } }).then(({ user }) => checked.add(user?.id ?? "")),
    );
  });
  await expect.poll(() => reader.kinds).toContain("snapshotComplete");
  const writing = here.client(UserService, project.accessKey);
  const write = async (from: number) => {
    for (let n = from; n < USERS; n += 20)
      if (n % 4 === 0)
        await writing.batchUpsertUsers({ users: [0, 20, 40, 60].map((i) => ({ externalId: `user ${n + i}` })) });
      else await writing.upsertUser({ externalId: `single ${n}` });
  };
  await Promise.all(Array.from({ length: 20 }, (_, from) => write(from)));
  const { rows } = await db.pool.query<{ count: number }>(
    "select count(*)::int as count from users where project_id = $1",
    [project.id],
  );
  const count = rows[0]?.count ?? 0;
  expect(count).toBeGreaterThanOrEqual(USERS);
  await expect.poll(() => reader.events.length, { timeout: 60_000, interval: 20 }).toBe(count);
  await Promise.all(readings);
  expect(checked.size).toBe(count);
  reader.leave();
}, 240_000);
