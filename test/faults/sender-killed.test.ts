import { once } from "node:events";
import { expect, test } from "vitest";
import { EventService } from "../../src/gen/muster/v1/event_service_pb.ts";
import { testDatabase } from "../support/database.ts";
import { settingsFor, startMuster } from "../support/muster-process.ts";
import { reach } from "../support/start-test-server.ts";
import { startReceiver } from "../webhooks/delivery-fixture.ts";

const KILLS = 20;
const EVENTS = 1_000;
const USERS = 100;
/** Within which a server that was killed, or another one, goes on. */
const RESUMED_WITHIN_MS = 30_000;

const db = await testDatabase();
const receiver = await startReceiver();
const settings: Record<string, string> = {
  ...settingsFor(db.address),
  MUSTER_RATE_LIMITS: "off",
  MUSTER_EGRESS_ALLOW: receiver.host,
};

/** The arrivals, with the time of each, by a clock that does not step. */
const arrivals: { id: string; user: string; number: number; at: number }[] = [];
receiver.answer = ({ event }, response) => {
  arrivals.push({
    id: event.id,
    user: event.user_id ?? "",
    number: Number(event.data["number"]),
    at: performance.now(),
  });
  // Slow enough that each kill finds some under way.
  setTimeout(() => response.writeHead(204).end(), 20);
};

/** Appends the next events, one of each of some users. */
async function append(projectId: string, users: readonly string[], number: number): Promise<void> {
  await db.pool.query(
    `insert into events (project_id, id, type, user_id, data, create_time)
     select $1, gen_random_uuid(), 'test.happened', u, jsonb_build_object('number', $3::int), now() from unnest($2::uuid[]) u`,
    [projectId, users, number],
  );
  await db.pool.query("select pg_notify('muster_events', $1)", [projectId]);
}

/** What a user's events were told by first, each, is the order they happened in. */
function expectOrder(users: readonly string[]): void {
  for (const user of users) {
    const seen = new Set<string>();
    const firsts = arrivals
      .filter((it) => it.user === user && !seen.has(it.id) && seen.add(it.id))
      .map(({ number }) => number);
    expect(firsts).toEqual(firsts.toSorted((a, b) => a - b));
  }
}

test("a server that is killed twenty times in a thousand events delivers each of them, a user's in order, and goes on within 30 s each time", async () => {
  let server = await startMuster(settings);
  const there = reach(server.url, settings["MUSTER_OPERATOR_KEY"] ?? "");
  const project = await there.project();
  await project.system(EventService).createWebhook({ webhook: { url: receiver.url, maxConcurrency: 64 } });
  const users = Array.from({ length: USERS }, () => crypto.randomUUID());
  const resumptions: number[] = [];
  let foundUnderWay = 0;
  for (let kill = 1; kill <= KILLS; kill++) {
    const before = arrivals.length;
    const some = users.slice((kill % 10) * 10, (kill % 10) * 10 + 10);
    for (let part = 0; part < 5; part++) await append(project.id, some, kill * 10 + part);
    await expect.poll(() => arrivals.length, { timeout: RESUMED_WITHIN_MS, interval: 5 }).toBeGreaterThan(before + 5);
    server.process.kill("SIGKILL");
    await once(server.process, "exit");
    const killedAt = performance.now();
    const claimed = await db.pool.query("select count(*)::int as count from deliveries where run_id is not null");
    foundUnderWay += claimed.rows[0].count > 0 ? 1 : 0;
    const killedWith = arrivals.length;
    server = await startMuster(settings);
    await expect
      .poll(() => arrivals.length, { timeout: RESUMED_WITHIN_MS + 10_000, interval: 20 })
      .toBeGreaterThan(killedWith);
    resumptions.push((arrivals[killedWith]?.at ?? 0) - killedAt);
  }
  const pending = async () =>
    (await db.pool.query("select count(*)::int as count from deliveries where state <> 'SUCCEEDED'")).rows[0].count;
  await expect.poll(pending, { timeout: 90_000, interval: 100 }).toBe(0);
  const { rows } = await db.pool.query(
    "select id from events where type = 'test.happened' order by transaction_id, sequence",
  );
  expect(rows).toHaveLength(EVENTS);
  expect(new Set(arrivals.map(({ id }) => id))).toEqual(new Set(rows.map(({ id }) => id)));
  expect(foundUnderWay).toBeGreaterThan(KILLS / 2);
  expect(Math.max(...resumptions)).toBeLessThan(RESUMED_WITHIN_MS);
  expectOrder(users);
  server.process.kill("SIGTERM");
  expect((await server.outcome).code).toBe(0);
}, 400_000);
