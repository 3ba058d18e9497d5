import { expect, onTestFinished, test } from "vitest";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { makeUsers } from "../presence/presence-fixture.ts";
import { testDatabase } from "../support/database.ts";
import { LightWatch, openAll } from "../support/light-watch.ts";
import { settingsFor, startMuster } from "../support/muster-process.ts";
import { reach } from "../support/start-test-server.ts";

const db = await testDatabase();
const settings: Record<string, string> = { ...settingsFor(db.address), MUSTER_RATE_LIMITS: "off" };
const WATCHES = 5_000;
const USERS = 1_000;
const PATIENCE = { timeout: 60_000, interval: 100 };

test("5,000 streams that come back at once all go on, and miss nothing", async () => {
  const muster = await startMuster(settings);
  const server = reach(muster.url, settings["MUSTER_OPERATOR_KEY"] ?? "");
  const project = await server.project();
  const users = await makeUsers(db, project.id, USERS);
  const client = project.system(PresenceService);
  const set = (value: string, status: string) =>
    client.setPresence({ ref: { ref: { case: "id", value } }, presence: { status } });
  const watches = Array.from({ length: WATCHES }, (_, n) => new LightWatch([users[n % USERS] ?? ""]));
  const before = await openAll(muster.url, project.accessKey, watches);
  await expect.poll(() => watches.filter(({ isLive }) => !isLive).length, PATIENCE).toBe(0);
  for (const session of before) session.destroy();
  await expect.poll(() => watches.filter(({ isOpen }) => isOpen).length, PATIENCE).toBe(0);
  const changed = users.slice(0, 100);
  await Promise.all(changed.map((user) => set(user, "meanwhile")));
  const after = await openAll(muster.url, project.accessKey, watches);
  onTestFinished(() => after.forEach((session) => session.destroy()));
  await expect.poll(() => watches.filter(({ isLive }) => !isLive).length, PATIENCE).toBe(0);
  expect(watches.filter(({ resumed }) => !resumed)).toEqual([]);
  const unlike = watches.filter(({ users: [user = ""], seen }) => {
    const wanted = changed.includes(user) ? "meanwhile" : "offline";
    return seen.get(user)?.status !== wanted;
  });
  expect(unlike).toEqual([]);
  // Whoever had nothing to learn was told nothing.
  expect(watches.reduce((sum, { told }) => sum + told, 0)).toBe((WATCHES / USERS) * changed.length);
  await set(users.at(-1) ?? "", "afterwards");
  const last = watches.filter(({ users: [user] }) => user === users.at(-1));
  await expect.poll(() => last.filter((it) => it.statusOf(users.at(-1) ?? "") !== "afterwards"), PATIENCE).toEqual([]);
}, 120_000);
