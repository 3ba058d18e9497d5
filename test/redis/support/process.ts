import { onTestFinished } from "vitest";
import type { Database } from "../../../src/db/orm.ts";
import type { Presence } from "../../../src/presence/presence.ts";
import type { RedisTarget } from "../../../src/presence/redis/masters.ts";
import { eventually, ids, Reader, set, startPresence } from "../../presence/presence-fixture.ts";
import { createFakeClock } from "../../support/fake-clock.ts";
import { redisEngine } from "./redis-fixture.ts";

/** A process whose watchers live by the fake clock: what it waits for passes when the test says so. */
export async function startProcess(db: Database, projectId: string, target: RedisTarget) {
  const clock = createFakeClock();
  const presence = startPresence(db, clock, await redisEngine(db, target));
  onTestFinished(() => presence[Symbol.asyncDispose]());
  const watch = async (users: readonly string[]) => {
    const reader = new Reader(presence, { projectId, keys: ids(users) });
    onTestFinished(() => reader[Symbol.asyncDispose]());
    await reader.snapshot();
    return reader;
  };
  return { clock, presence, watch };
}

/** Sets presences until told to stop. Gives why some were not set, each reason once. */
export function underLoad(presence: Presence, projectId: string, users: readonly string[]) {
  const refusals = new Set<string>();
  let [stopped, stored] = [false, 0];
  const run = async (user: string) => {
    for (let n = 0; !stopped; n++)
      await set(presence, projectId, user, { status: `s${n}` }).then(
        () => stored++,
        (error: { reason?: string }) => refusals.add(error.reason ?? String(error)),
      );
  };
  const running = Promise.all(users.map(run));
  return {
    refusals,
    /** Resolves once so many more are stored. */
    async stores(count: number) {
      const enough = stored + count;
      await eventually(() => stored >= enough);
    },
    async stop() {
      stopped = true;
      await running;
    },
  };
}
