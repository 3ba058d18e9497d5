import { expect, test } from "vitest";
import { transaction } from "../../src/db/transaction.ts";
import { appendEvent } from "../../src/events/append-event.ts";
import { HISTORY_START, readEvents, type StoredEvent } from "../../src/events/read-events.ts";
import { createIds } from "../../src/ids.ts";
import { testDatabase } from "../support/database.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { settledEvents } from "../support/settled-events.ts";
import { TEST_ACT } from "../support/test-act.ts";

const db = await testDatabase();
const clock = createFakeClock();
const newId = createIds(clock);

const projectOf = () => newId();
const event = (projectId: string, n: number) => ({
  projectId,
  id: newId(),
  type: "test.counted",
  data: { n },
  act: TEST_ACT,
  createTime: new Date(clock.now()),
});

const numbers = (events: readonly StoredEvent[]) => events.map(({ data }) => (data as { n: number }).n);

test("an event exists if and only if its change does", async () => {
  const projectId = projectOf();
  await transaction(db, { projectId }, (em) => appendEvent(em, event(projectId, 1)));
  const failing = transaction(db, { projectId }, async (em) => {
    await appendEvent(em, event(projectId, 2));
    throw new Error("the change failed");
  });
  await expect(failing).rejects.toThrow("the change failed");
  expect(numbers(await settledEvents(db, projectId))).toEqual([1]);
});

test("a transaction that commits late is not skipped: reading stops before the oldest one that still runs", async () => {
  const projectId = projectOf();
  const late = await db.pool.connect();
  await late.query("begin");
  await late.query("insert into events (project_id, id, type, data, create_time) values ($1, $2, 't', $3, now())", [
    projectId,
    newId(),
    { n: 1 },
  ]);
  await transaction(db, { projectId }, (em) => appendEvent(em, event(projectId, 2)));
  expect(await readEvents(db, { projectId }, HISTORY_START, 10)).toEqual([]);
  await late.query("commit");
  late.release();
  expect(numbers(await settledEvents(db, projectId))).toEqual([1, 2]);
});

test("a reader that follows a hundred racing writers sees each event once", async () => {
  const projectId = projectOf();
  let writing = true;
  const writers = Promise.all(
    Array.from({ length: 100 }, (_, n) => transaction(db, { projectId }, (em) => appendEvent(em, event(projectId, n)))),
  ).finally(() => {
    writing = false;
  });
  const seen: StoredEvent[] = [];
  do seen.push(...(await readEvents(db, { projectId }, seen.at(-1)?.cursor ?? HISTORY_START, 3)));
  while (writing);
  await writers;
  seen.push(...(await settledEvents(db, projectId, seen.at(-1)?.cursor, 3)));
  expect(numbers(seen).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, n) => n));
});

test("a project reads its own events only", async () => {
  const [mine, other] = [projectOf(), projectOf()];
  await transaction(db, { projectId: other }, (em) => appendEvent(em, event(other, 1)));
  expect(await settledEvents(db, other)).toHaveLength(1);
  expect(await settledEvents(db, mine)).toEqual([]);
});
