import { expect, test } from "vitest";
import { placeRestoredEvents } from "../../src/events/place-restored-events.ts";
import { EventService } from "../../src/gen/muster/v1/event_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { EventReader } from "../support/event-reader.ts";
import { reasonOf } from "../support/refusal.ts";
import { settle } from "../support/settled-events.ts";
import { startApp } from "../support/start-app.ts";
import { append, emptyProject, listAll, numbersOf } from "./events-fixture.ts";

const app = await startApp();
const { db, client } = app;
const DAYS_LATER = 1_000_000_000_000;

/** A project whose events look as after a dump of another cluster was restored, one that had given out many more transactions. */
async function restored(count: number) {
  const project = await emptyProject(app);
  for (let n = 0; n < count; n++) await append(db.pool, project.id, n);
  const { cursor } = await listAll(app, project);
  await db.pool.query(
    `update events set transaction_id = (transaction_id::text::bigint + $2)::text::xid8,
       written_in = (transaction_id::text::bigint + $2)::text::xid8 where project_id = $1`,
    [project.id, DAYS_LATER],
  );
  return { project, cursor };
}

test("a history that comes from another cluster is read whole, in order, and goes on with what happens in this one", async () => {
  const [one, other] = [await restored(12), await restored(5)];
  const untouched = await emptyProject(app);
  expect(await placeRestoredEvents(db)).toBeGreaterThanOrEqual(17);
  for (const { project, cursor } of [one, other]) {
    const count = project === one.project ? 12 : 5;
    await append(db.pool, project.id, count);
    const listed = await listAll(app, project, { pageSize: 4 });
    expect(numbersOf(listed.events)).toEqual(Array.from({ length: count + 1 }, (_, n) => n));
    // What had been read by this cursor, the history of this cluster does not tell.
    expect(await reasonOf(project.system(EventService).listEvents({ pageToken: cursor }))).toBe("EVENT_CURSOR_EXPIRED");
    await append(db.pool, project.id, count + 1);
    expect(numbersOf((await listAll(app, project, { pageToken: listed.cursor })).events)).toEqual([count + 1]);
  }
  expect((await listAll(app, untouched)).events).toEqual([]);
  expect(await placeRestoredEvents(db)).toBe(0);
});

test("a webhook goes on with what it was not sent, and with what is new", async () => {
  const { project } = await restored(5);
  const { webhook } = await project
    .system(EventService)
    .createWebhook({ webhook: { url: "https://crm.example/hook" } });
  await db.pool.query(
    `update webhooks w set since = '900:900:', (cursor_transaction_id, cursor_sequence) =
       (select transaction_id, sequence from events e where e.project_id = w.project_id and data ->> 'n' = '2') where id = $1`,
    [webhook?.id],
  );
  await placeRestoredEvents(db);
  const ahead = await db.pool.query(
    `select e.data ->> 'n' as n from events e join webhooks w on w.project_id = e.project_id
     where w.id = $1 and (e.transaction_id, e.sequence) > (w.cursor_transaction_id, w.cursor_sequence)
       and not pg_visible_in_snapshot(e.transaction_id, w.since) and e.type like 'test.%' order by e.transaction_id, e.sequence`,
    [webhook?.id],
  );
  expect(ahead.rows.map(({ n }) => n)).toEqual(["3", "4"]);
});

test("servers that start at the same time on a restored dump do it once", async () => {
  const { project } = await restored(20);
  const moved = await Promise.all([1, 2, 3, 4].map(() => placeRestoredEvents(db)));
  expect(moved.filter((count) => count > 0)).toHaveLength(1);
  expect(numbersOf((await listAll(app, project)).events)).toEqual(Array.from({ length: 20 }, (_, n) => n));
});

test("streams that are open when the database becomes another one end, and say why", async () => {
  const { project } = await restored(3);
  await placeRestoredEvents(db);
  const reader = new EventReader(client(EventService, project.accessKey), { fromOldest: true });
  await expect.poll(() => reader.kinds.at(-1), { timeout: 15_000 }).toBe("snapshotComplete");
  await append(db.pool, project.id, 3);
  await settle(db, project.id);
  await expect.poll(() => numbersOf(reader.events), { timeout: 15_000 }).toEqual([0, 1, 2, 3]);
  await db.pool.query("delete from events where project_id = $1 and data ->> 'n' = '3'", [project.id]);
  expect(await reader.ended).toBe("EVENT_CURSOR_EXPIRED");
});

test("an export of a user from another cluster has what happened to it", async () => {
  const project = await emptyProject(app);
  const users = project.system(UserService);
  const { user } = await users.upsertUser({ externalId: "ada" });
  await db.pool.query(
    `update events set transaction_id = (transaction_id::text::bigint + $2)::text::xid8,
       written_in = (transaction_id::text::bigint + $2)::text::xid8 where project_id = $1`,
    [project.id, DAYS_LATER],
  );
  await placeRestoredEvents(db);
  const chunks: Uint8Array[] = [];
  const ref = { ref: { case: "id", value: user?.id ?? "" } } as const;
  for await (const { chunk } of users.exportUser({ ref })) chunks.push(chunk);
  const { events } = JSON.parse(Buffer.concat(chunks).toString()) as { events: { type: string }[] };
  expect(events.map(({ type }) => type)).toEqual(["user.created"]);
});
