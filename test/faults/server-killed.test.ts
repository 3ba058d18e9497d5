import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { makeUsers } from "../presence/presence-fixture.ts";
import { testDatabase } from "../support/database.ts";
import { LightWatch, openAll } from "../support/light-watch.ts";
import { settingsFor, startMuster } from "../support/muster-process.ts";
import { reach } from "../support/start-test-server.ts";

const db = await testDatabase();
const settings: Record<string, string> = { ...settingsFor(db.address), MUSTER_RATE_LIMITS: "off" };
const USERS = 500;
const WATCHES = 1_000;
const WATCHED = 10;
const PATIENCE = { timeout: 40_000, interval: 100 };

/** Sets presences of random users, several at a time, until it is told to stop; notes the last one that was answered of each. */
function startSetting(set: (user: string, status: string) => Promise<unknown>, users: readonly string[]) {
  const last = new Map<string, string>();
  let isOver = false;
  let count = 0;
  const work = async () => {
    while (!isOver) {
      // Round by round, so that no user is set twice at a time: either could be the last then.
      const user = users[count % users.length] ?? "";
      const status = `n${count++}`;
      await set(user, status);
      last.set(user, status);
      await sleep(2);
    }
  };
  const workers = Array.from({ length: 4 }, work);
  return {
    last,
    async stop() {
      isOver = true;
      await Promise.all(workers);
    },
  };
}

test("the streams of a server that is killed go on at another one, and miss nothing", async () => {
  const [first, second] = await Promise.all([startMuster(settings), startMuster(settings)]);
  const there = reach(second.url, settings["MUSTER_OPERATOR_KEY"] ?? "");
  const project = await there.project();
  const users = await makeUsers(db, project.id, USERS);
  const client = project.system(PresenceService);
  const set = (value: string, status: string) =>
    client.setPresence({ ref: { ref: { case: "id", value } }, presence: { status } });
  const watches = Array.from(
    { length: WATCHES },
    (_, n) => new LightWatch(Array.from({ length: WATCHED }, (__, i) => users[(n + i * 50) % USERS] ?? "")),
  );
  const lost = await openAll(first.url, project.accessKey, watches);
  await expect.poll(() => watches.filter(({ isLive }) => !isLive).length, PATIENCE).toBe(0);
  const setting = startSetting(set, users);
  await expect.poll(() => watches.filter(({ told }) => told <= WATCHED).length, PATIENCE).toBe(0);
  first.process.kill("SIGKILL");
  await once(first.process, "exit");
  await expect.poll(() => watches.filter(({ isOpen }) => isOpen).length, PATIENCE).toBe(0);
  // Nobody is connected now: what is set is what could be missed.
  await sleep(200);
  const found = await openAll(second.url, project.accessKey, watches);
  await expect.poll(() => watches.filter(({ isLive }) => !isLive).length, PATIENCE).toBe(0);
  await setting.stop();
  const unlike = () =>
    watches.flatMap((watch) =>
      watch.users.filter((user) => watch.statusOf(user) !== (setting.last.get(user) ?? "offline")),
    );
  await expect.poll(() => unlike().length, PATIENCE).toBe(0);
  expect(setting.last.size).toBeGreaterThan(WATCHED);
  expect(watches.filter(({ resumed }) => !resumed)).toEqual([]);
  expect(watches.filter(({ stepsBack }) => stepsBack > 0)).toEqual([]);
  for (const session of [...lost, ...found]) session.destroy();
  second.process.kill("SIGTERM");
  expect((await second.outcome).code).toBe(0);
});
