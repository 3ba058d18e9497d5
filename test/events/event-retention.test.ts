import { describe, expect, test } from "vitest";
import type { EventCursor } from "../../src/events/read-events.ts";
import { removeOldEvents } from "../../src/events/remove-old-events.ts";
import { EventService } from "../../src/gen/muster/v1/event_service_pb.ts";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { refusalOf } from "../support/refusal.ts";
import { settle } from "../support/settled-events.ts";
import { startApp } from "../support/start-app.ts";
import { append, emptyProject, listAll, numbersOf, openConnection } from "./events-fixture.ts";

const DAY_MS = 86_400_000;
const app = await startApp();
const { db, clock } = app;
const daysAgo = (days: number) => new Date(clock.now() - days * DAY_MS);

/** Removes what is old, once all that was written is settled. */
async function remove(projectId: string, heldFrom?: () => Promise<EventCursor | undefined>): Promise<void> {
  await settle(db, projectId);
  await removeOldEvents({ db, clock, ...(heldFrom && { heldFrom }) }, new AbortController().signal);
}

/** A project with an event for each of the ages in days, and a cursor behind each of them. */
async function history(...ages: number[]) {
  const project = await emptyProject(app);
  const cursors: string[] = [];
  for (const [n, age] of ages.entries()) {
    await append(db.pool, project.id, n, { time: daysAgo(age) });
    cursors.push((await listAll(app, project)).cursor);
  }
  const numbers = async (pageToken = "") =>
    numbersOf((await listAll(app, project, { pageToken, types: ["test.*"] })).events);
  const refusal = (pageToken: string) => refusalOf(project.system(EventService).listEvents({ pageToken }));
  return { project, cursors, numbers, refusal };
}

test("events go once they are older than their project keeps them, and not before", async () => {
  const { project, numbers } = await history(31, 30, 29, 2);
  await remove(project.id);
  expect(await numbers()).toEqual([2, 3]);
  const settings = { eventRetention: { seconds: 86_400n } };
  await app.operator(ProjectService).updateProject({ projectId: project.id, settings });
  await remove(project.id);
  expect(await numbers()).toEqual([]);
});

describe("a cursor", () => {
  test("from before what was removed is refused, with the time of the oldest event there is; one that lost nothing goes on", async () => {
    const { project, cursors, numbers, refusal } = await history(40, 35, 31, 29, 1);
    await remove(project.id);
    const { reason, metadata } = await refusal(cursors[1] ?? "");
    expect([reason, metadata]).toEqual(["EVENT_CURSOR_EXPIRED", { oldest_event_time: daysAgo(29).toISOString() }]);
    expect(await numbers(cursors[2])).toEqual([3, 4]);
    expect(await numbers(cursors[3])).toEqual([4]);
    expect(await numbers()).toEqual([3, 4]);
  });

  test("of an empty project is refused once an event has come and gone", async () => {
    const { project, numbers, refusal } = await history();
    const { cursor } = await listAll(app, project);
    await append(db.pool, project.id, 0, { time: daysAgo(31) });
    expect(await numbers(cursor)).toEqual([0]);
    await remove(project.id);
    expect((await refusal(cursor)).metadata).toEqual({});
    expect((await refusal(cursor)).reason).toBe("EVENT_CURSOR_EXPIRED");
    const after = await listAll(app, project);
    await append(db.pool, project.id, 1);
    expect(await numbers(after.cursor)).toEqual([1]);
  });

  test("of one who wants little moves on with all that is passed over", async () => {
    const { project, numbers } = await history(32, 31);
    const { cursor } = await listAll(app, project, { types: ["user.deleted"] });
    await remove(project.id);
    await append(db.pool, project.id, 2);
    expect(await numbers(cursor)).toEqual([2]);
  });

  test("in a history that is not there is refused: the database was taken back to an earlier time", async () => {
    const { project, cursors, numbers, refusal } = await history(2, 1);
    await db.pool.query("delete from events where project_id = $1 and data ->> 'n' = '1'", [project.id]);
    await append(db.pool, project.id, 2);
    expect((await refusal(cursors[1] ?? "")).reason).toBe("EVENT_CURSOR_EXPIRED");
    expect(await numbers(cursors[0])).toEqual([2]);
  });
});

test("what is old behind what is young stays until that goes: a history has no gaps", async () => {
  const { project, numbers } = await history(31, 29, 31);
  await remove(project.id);
  expect(await numbers()).toEqual([1, 2]);
});

test("what is not settled is not removed, however old", async () => {
  const { project, numbers } = await history(31);
  const late = await openConnection(db);
  await late.query("begin");
  await append(late, project.id, 1);
  await append(db.pool, project.id, 2, { time: daysAgo(31) });
  await removeOldEvents({ db, clock }, new AbortController().signal);
  await late.query("commit");
  expect(await numbers()).toEqual([1, 2]);
});

test("what somebody has yet to do something with is kept, and all after it, for twice as long", async () => {
  const { project, numbers } = await history(61, 50, 40, 35);
  await settle(db, project.id);
  const { rows } = await db.pool.query(
    `select transaction_id::text as "transactionId", sequence::int from events where project_id = $1 and data ->> 'n' = $2`,
    [project.id, "0"],
  );
  await remove(project.id, async () => rows[0]);
  expect(await numbers()).toEqual([1, 2, 3]);
  const second = await db.pool.query(
    `select transaction_id::text as "transactionId", sequence::int from events where project_id = $1 and data ->> 'n' = $2`,
    [project.id, "2"],
  );
  await remove(project.id, async () => second.rows[0]);
  expect(await numbers()).toEqual([2, 3]);
  await remove(project.id);
  expect(await numbers()).toEqual([]);
});

test("many go in small transactions, and several servers at once do no harm", async () => {
  const { project, numbers } = await history();
  await append(db.pool, project.id, 0, { count: 5_500, time: daysAgo(31) });
  await append(db.pool, project.id, 5_500, { time: daysAgo(1) });
  const { cursor } = await listAll(app, project);
  await Promise.all([1, 2, 3].map(() => remove(project.id)));
  expect(await numbers()).toEqual([5_500]);
  expect(await numbers(cursor)).toEqual([]);
});
