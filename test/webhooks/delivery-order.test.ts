import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Database } from "../../src/db/orm.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { testDatabase } from "../support/database.ts";
import { startApp } from "../support/start-app.ts";
import { answering, deliveriesOf, makeWebhook, startReceiver } from "./delivery-fixture.ts";

const PATIENCE = { timeout: 30_000, interval: 50 };
const db = await testDatabase();
const [receiver, slow] = [await startReceiver(), await startReceiver()];
const settings = { db, config: { egressAllow: [receiver.host, slow.host] } };
const first = await startApp(settings);
const second = await startApp(settings);
const { encryptionKeys } = first.config;

/** Appends events, `perUser` for each of `users`, in one transaction. */
async function appendEvents(on: Database, projectId: string, users: readonly string[], perUser: number) {
  await on.pool.query(
    `insert into events (project_id, id, type, user_id, data, create_time)
     select $1, gen_random_uuid(), 'test.happened', u, jsonb_build_object('number', n), now()
     from generate_series(1, $3::int) n, unnest($2::uuid[]) u order by n`,
    [projectId, users, perUser],
  );
  await on.pool.query("select pg_notify('muster_events', $1)", [projectId]);
}

const newUsers = (count: number) => Array.from({ length: count }, () => crypto.randomUUID());
const numberOf = ({ event }: { event: { data: Record<string, unknown> } }) => Number(event.data["number"]);
const pending = async (id: string) => (await deliveriesOf(db, id)).filter(({ state }) => state === "PENDING").length;

test("two servers share the work, each event is sent once, never more at a time than the webhook takes, and a user's are in order", async () => {
  const project = await first.project();
  let underWay = 0;
  let most = 0;
  receiver.answer = (_, response) => {
    most = Math.max(most, ++underWay);
    setTimeout(() => {
      underWay -= 1;
      response.writeHead(204).end();
    }, 5);
  };
  const webhook = await makeWebhook(db, encryptionKeys, project.id, receiver.url, { maxConcurrency: 7 });
  await sleep(1_100);
  const users = newUsers(50);
  const before = receiver.received.length;
  await appendEvents(db, project.id, users, 20);
  await expect.poll(() => receiver.received.length - before, PATIENCE).toBe(1_000);
  await expect.poll(() => pending(webhook.id), PATIENCE).toBe(0);
  const got = receiver.received.slice(before);
  expect(new Set(got.map(({ event }) => event.id)).size).toBe(1_000);
  for (const user of users)
    expect(got.filter(({ event }) => event.user_id === user).map(numberOf)).toEqual(
      Array.from({ length: 20 }, (_, n) => n + 1),
    );
  expect(most).toBe(7);
  // All of it came from two servers: neither had the webhook for itself.
  expect(new Set((await deliveriesOf(db, webhook.id)).map(({ attemptCount }) => attemptCount))).toEqual(new Set([1]));
});

test("what fails for a user holds up that user alone, and nothing of it comes before what failed", async () => {
  const project = await first.project();
  const [lucky = "", unlucky = ""] = newUsers(2);
  const at = `/${project.id}`;
  receiver.answer = ({ event }, response) =>
    void response.writeHead(event.user_id === unlucky && event.data["number"] === 3 && isDown ? 500 : 204).end();
  let isDown = true;
  const webhook = await makeWebhook(db, encryptionKeys, project.id, `http://${receiver.host}${at}`);
  await sleep(1_100);
  await appendEvents(db, project.id, [lucky, unlucky], 10);
  const numbersOf = (user: string) =>
    receiver.received.filter(({ path, event }) => path === at && event.user_id === user).map(numberOf);
  await expect.poll(() => numbersOf(lucky).length, PATIENCE).toBe(10);
  await expect.poll(() => pending(webhook.id), PATIENCE).toBe(8);
  expect(numbersOf(unlucky)).toEqual([1, 2, 3]);
  // What comes later waits in line as well.
  await appendEvents(db, project.id, [unlucky], 1);
  await expect.poll(() => pending(webhook.id), PATIENCE).toBe(9);
  isDown = false;
  await first.clock.advance(5_000);
  await expect.poll(() => pending(webhook.id), PATIENCE).toBe(0);
  expect(numbersOf(unlucky)).toEqual([1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 1]);
});

test("a receiver that never answers takes no more than its places, and those beside it go on", async () => {
  const project = await first.project();
  slow.answer = () => {};
  receiver.answer = answering(204);
  const stuck = [];
  for (let n = 0; n < 8; n++)
    stuck.push(await makeWebhook(db, encryptionKeys, project.id, `${slow.url}/${n}`, { maxConcurrency: 50 }));
  const at = `/${project.id}`;
  const fine = await makeWebhook(db, encryptionKeys, project.id, `http://${receiver.host}${at}`);
  await sleep(1_100);
  for (let n = 0; n < 5; n++) {
    await appendEvents(db, project.id, newUsers(100), 1);
    await expect.poll(() => pending(fine.id), PATIENCE).toBe(0);
  }
  await expect.poll(() => receiver.received.filter(({ path }) => path === at).length, PATIENCE).toBe(500);
  const claimed = await db.pool.query(
    "select count(*)::int as count from deliveries where project_id = $1 and run_id is not null",
    [project.id],
  );
  expect(claimed.rows[0].count).toBeGreaterThan(50);
  // Of the 400 that the receiver would be given: each server has 64 places for the project, and four for each of its webhooks.
  expect(claimed.rows[0].count).toBeLessThanOrEqual(2 * (64 + 8 * 4));
  slow.answer = answering(204);
  await db.pool.query("delete from webhooks where id = any ($1)", [stuck.map(({ id }) => id)]);
});

test("what was made by many calls at once comes once each, whoever commits first", async () => {
  const project = await first.project();
  receiver.answer = answering(204);
  const at = `/${project.id}`;
  const webhook = await makeWebhook(db, encryptionKeys, project.id, `http://${receiver.host}${at}`);
  const callers = [first, second].map(({ client }) => client(UserService, project.accessKey));
  const made = await Promise.all(
    Array.from({ length: 400 }, async (_, n) => callers[n % 2]?.upsertUser({ externalId: `user-${n}` })),
  );
  const got = () => receiver.received.filter(({ path }) => path === at).map(({ event }) => event.user_id);
  await expect.poll(() => got().length, PATIENCE).toBe(400);
  await expect.poll(() => pending(webhook.id), PATIENCE).toBe(0);
  expect(new Set(got())).toEqual(new Set(made.map((it) => it?.user?.id)));
  expect(got()).toHaveLength(400);
});
