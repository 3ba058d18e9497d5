import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { PresenceCounter } from "../../src/presence/count-presence.ts";
import { spanAt } from "../../src/presence/effective-presence.ts";
import type { PresenceEngine } from "../../src/presence/engine.ts";
import { scanPage } from "../../src/presence/scan-presences.ts";
import { testDatabase } from "../support/database.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { createRandom } from "../support/random.ts";
import { MS, makeProject, makeUsers, set, startPresence } from "./presence-fixture.ts";

const db = await testDatabase();
const projectId = await makeProject(db);
const presence = startPresence(db);
afterAll(() => presence[Symbol.asyncDispose]());

const users = await makeUsers(db, projectId, 5_001);
await Promise.all(
  users.flatMap((user, n) => {
    if (n % 3 === 0) return [];
    if (n % 3 === 1) return set(presence, projectId, user, { status: "online" });
    return set(presence, projectId, user, { status: "on", ttl: 10 * MS }, { status: "over", ttl: 10 * MS });
  }),
);
const online = users.filter((_, n) => n % 3 === 1).toSorted();

async function scanAll(engine: PresenceEngine) {
  const pages: string[][] = [];
  for (let after: string | undefined = ""; after !== undefined; ) {
    const page = await scanPage({ db, engine }, { projectId }, after);
    const atLast = page.users.filter(({ record }) => record.steps[0]?.status === "online");
    pages.push(atLast.map(({ userId }) => userId));
    after = page.next;
  }
  return pages;
}

test("a scan gives everybody whose chain is not over once; and so it is by an engine that cannot scan", async () => {
  const own = await scanAll(presence.engine);
  const { scan: _, ...rest } = presence.engine;
  const byUser = await scanAll(rest);
  expect(own.flat().toSorted()).toEqual(online);
  expect(byUser.flat().toSorted()).toEqual(online);
  expect([own.length, byUser.length]).toEqual([1, 11]);
});

test("a chain that was set again ends when the new one does", async () => {
  const [user = ""] = users;
  await set(presence, projectId, user, { status: "online" });
  await set(presence, projectId, user, { status: "short", ttl: 10 * MS });
  const { record } = await set(presence, projectId, user, { status: "short", ttl: 10 * MS });
  const { rows } = await db.pool.query("select ends_at from presences where user_id = $1", [user]);
  expect(Number(rows[0]?.ends_at)).toBe(record.setAt + 10 * MS);
  await set(presence, projectId, user, { status: "online" });
  const { rows: stays } = await db.pool.query("select ends_at from presences where user_id = $1", [user]);
  expect(stays[0]?.ends_at).toBeNull();
  await set(presence, projectId, user, { status: "x", ttl: 10 * MS });
});

test("the database counts by whichever links are in force, and so does a scan, and so it is user by user", async () => {
  const random = createRandom(11);
  const mixed = await makeProject(db);
  const subjects = (await makeUsers(db, mixed, 400)).map((userId) => ({ projectId: mixed, userId }));
  const step = () => ({ status: `"s${random(3)}"\\`, ttl: 1 + random(300) * MS });
  await Promise.all(
    subjects.map(({ userId }) => {
      const steps = Array.from({ length: 1 + random(5) }, step);
      return set(presence, mixed, userId, ...steps, ...(random(2) ? [{ status: "last" }] : []));
    }),
  );
  const { users: known } = await presence.engine.get(subjects);
  const expectedAt = (now: number) => {
    const statuses = known.flatMap((it) => it?.record?.steps[spanAt(it.record, now).step]?.status ?? []);
    return Object.fromEntries(
      Map.groupBy(statuses, (it) => it)
        .entries()
        .map(([status, its]) => [status, its.length]),
    );
  };
  const { scan, count: _, ...rest } = presence.engine;
  const engines: PresenceEngine[] = [presence.engine, { ...rest, ...(scan && { scan }) }, rest];
  let rounds = 0;
  for (let last = {}; Object.keys(last).join() !== "last"; rounds++) {
    for (const engine of engines) {
      const { counts, time } = await new PresenceCounter({ db, engine }, systemClock).count(mixed, "none");
      last = Object.fromEntries(counts);
      expect(last).toEqual(expectedAt(time));
    }
    await sleep(20);
  }
  expect(rounds).toBeGreaterThan(5);
});

/** An engine whose count takes so long, and how often it was begun. */
function slowEngine(tookMs: number) {
  const clock = createFakeClock();
  const scans = { begun: 0 };
  const engine: PresenceEngine = {
    ...presence.engine,
    async count() {
      const now = ++scans.begun;
      await new Promise<void>((resolve) => clock.schedule(tookMs, resolve));
      return { now, counts: new Map([[`scan ${now}`, 1]]) };
    },
  };
  return { clock, scans, counter: new PresenceCounter({ db, engine }, clock) };
}

test("one count runs at a time; those that come meanwhile share the next", async () => {
  const { clock, scans, counter } = slowEngine(40);
  const first = counter.count("p", "offline");
  await clock.advance(10);
  const later = Array.from({ length: 50 }, () => counter.count("p", "offline"));
  const elsewhere = counter.count("q", "offline");
  await clock.advance(100);
  expect((await first).time).toBe(1);
  expect(new Set((await Promise.all(later)).map(({ time }) => time))).toEqual(new Set([3]));
  expect((await elsewhere).time).toBe(2);
  expect(scans.begun).toBe(3);
});

test("a count that took long is kept for ten times as long, one of another default is not taken for it", async () => {
  const { clock, scans, counter } = slowEngine(100);
  const count = async (defaultStatus: string) => {
    const counting = counter.count("p", defaultStatus);
    await clock.advance(100);
    return (await counting).counts;
  };
  expect(await count("offline")).toEqual(new Map([["scan 1", 1]]));
  await clock.advance(800);
  expect(await count("offline")).toEqual(new Map([["scan 1", 1]]));
  expect(await count("away")).toEqual(new Map([["scan 2", 1]]));
  expect(await count("offline")).toEqual(new Map([["scan 3", 1]]));
  await clock.advance(1_000);
  expect(await count("offline")).toEqual(new Map([["scan 4", 1]]));
  expect(scans.begun).toBe(4);
});

test("a count that fails fails alone", async () => {
  const engine: PresenceEngine = { ...presence.engine, count: () => Promise.reject(new Error("away")) };
  const counter = new PresenceCounter({ db, engine }, systemClock);
  const both = await Promise.allSettled([counter.count("p", "x"), counter.count("p", "x")]);
  expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
});
