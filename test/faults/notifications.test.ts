import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { createListener, LISTENER_NAME } from "../../src/db/listener.ts";
import { createNotifier } from "../../src/db/notifier.ts";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { createLogger } from "../../src/logger.ts";
import { createPostgresEngine } from "../../src/presence/postgres/postgres-engine.ts";
import { CHANNEL } from "../../src/presence/postgres/statements.ts";
import {
  ids,
  killListeners,
  MS,
  makeProject,
  makeUsers,
  Reader,
  set,
  startPresence,
} from "../presence/presence-fixture.ts";
import { testDatabase } from "../support/database.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { LightWatch, openAll } from "../support/light-watch.ts";
import { type PostgresProxy, startPostgresProxy } from "../support/postgres-proxy.ts";
import { createRandom } from "../support/random.ts";
import { startTestServer } from "../support/start-test-server.ts";

const db = await testDatabase();
const projectId = await makeProject(db);
const setter = startPresence(db);
afterAll(() => setter[Symbol.asyncDispose]());
const logger = createLogger("silent");
const PATIENCE = { timeout: 40_000, interval: 50 };

/** A process whose notifications come by way of the proxy, and its time. */
function startBehind(proxy: PostgresProxy) {
  const clock = createFakeClock();
  const listener = createListener(proxy.address, systemClock, logger);
  const notifier = createNotifier(db, systemClock, logger);
  const presence = startPresence(db, clock, createPostgresEngine({ db, listener, notifier, logger }));
  const dispose = async () => {
    await presence[Symbol.asyncDispose]();
    await notifier[Symbol.asyncDispose]();
    await listener[Symbol.asyncDispose]();
  };
  return { clock, presence, [Symbol.asyncDispose]: dispose };
}

test("watchers come to see the last of everything within a minute though notifications are lost, doubled and out of order", async () => {
  const random = createRandom(20_260_115);
  const counts = { lost: 0, doubled: 0, late: 0 };
  await using proxy = await startPostgresProxy(db.address);
  await using behind = startBehind(proxy);
  const users = await makeUsers(db, projectId, 60);
  await using reader = new Reader(behind.presence, { projectId, keys: ids(users) });
  await using other = new Reader(behind.presence, { projectId, keys: ids(users.slice(30)) });
  await Promise.all([reader.snapshot(), other.snapshot()]);
  proxy.tamper = (channel) => {
    if (channel !== CHANNEL) return [0];
    const delay = () => random(2) * random(300);
    const fate = random(20);
    counts[fate < 4 ? "lost" : fate < 8 ? "doubled" : "late"]++;
    return fate < 4 ? [] : fate < 8 ? [delay(), delay()] : [delay()];
  };
  const last = new Map<string, string>();
  for (let n = 0; n < 600; n++) {
    const user = users[random(users.length)] ?? "";
    last.set(user, `n${n}`);
    await set(setter, projectId, user, { status: `n${n}` });
  }
  await sleep(400);
  const unlike = (it: Reader, list = users) =>
    list.filter((user) => it.statusOf(user) !== (last.get(user) ?? "offline"));
  expect(unlike(reader).length).toBeGreaterThan(0);
  expect(Math.min(...Object.values(counts))).toBeGreaterThan(20);
  await behind.clock.advance(60_000);
  await expect.poll(() => unlike(reader), PATIENCE).toEqual([]);
  await expect.poll(() => unlike(other, users.slice(30)), PATIENCE).toEqual([]);
  for (const { messages, failure } of [reader, other]) {
    expect(failure).toBeUndefined();
    expect(messages.map(({ event }) => event.kind)).not.toContain("resync");
  }
  for (const user of users) {
    const revisions = reader.messages
      .flatMap(({ event }) => (event.kind === "update" ? event.presences : []))
      .filter(({ userId }) => userId === user)
      .map(({ revision }) => revision);
    expect(revisions).toEqual([...new Set(revisions)].toSorted((a, b) => a - b));
  }
});

test("links run out in time though the notification of their chain came late or not at all", async () => {
  await using proxy = await startPostgresProxy(db.address);
  await using server = await startBehindServer(proxy);
  const [late = "", lost = ""] = server.users;
  proxy.tamper = (channel) => (channel === CHANNEL ? [900] : [0]);
  await set(setter, server.projectId, late, { status: "gone by then", ttl: 300 * MS }, { status: "over" });
  await expect.poll(() => server.watch.statusOf(late), PATIENCE).toBe("over");
  expect(server.watch.stepsBack).toBe(0);
  proxy.tamper = (channel) => (channel === CHANNEL ? [] : [0]);
  await set(setter, server.projectId, lost, { status: "unheard of", ttl: 300 * MS }, { status: "over" });
  await sleep(500);
  expect(server.watch.statusOf(lost)).toBe("offline");
  // A lost connection has everything read again.
  await killListeners(db);
  await expect.poll(() => server.watch.statusOf(lost), PATIENCE).toBe("over");
});

test("a LISTEN connection that falls silent is noticed and replaced, and what was missed is told", async () => {
  await using proxy = await startPostgresProxy(db.address);
  await using server = await startBehindServer(proxy);
  const [before = "", meanwhile = "", after = ""] = server.users;
  await set(setter, server.projectId, before, { status: "before" });
  await expect.poll(() => server.watch.statusOf(before), PATIENCE).toBe("before");
  expect(proxy.silence((name) => name === LISTENER_NAME)).toBe(1);
  await set(setter, server.projectId, meanwhile, { status: "meanwhile" });
  await sleep(100);
  expect(server.watch.statusOf(meanwhile)).toBe("offline");
  await expect.poll(() => server.watch.statusOf(meanwhile), PATIENCE).toBe("meanwhile");
  await set(setter, server.projectId, after, { status: "after" });
  await expect.poll(() => server.watch.statusOf(after), PATIENCE).toBe("after");
  expect(server.watch.isOpen).toBe(true);
});

test("where every connection to the database falls silent, watchers are told what was set once new ones carry it", async () => {
  await using proxy = await startPostgresProxy(db.address);
  await using server = await startBehindServer(proxy);
  const [user = "", other = ""] = server.users;
  expect(proxy.silence()).toBeGreaterThan(1);
  await set(setter, server.projectId, user, { status: "set elsewhere" });
  await expect.poll(() => server.watch.statusOf(user), PATIENCE).toBe("set elsewhere");
  await server.client.setPresence({ ref: { ref: { case: "id", value: other } }, presence: { status: "set here" } });
  await expect.poll(() => server.watch.statusOf(other), PATIENCE).toBe("set here");
  expect(server.watch.isOpen).toBe(true);
});

/** A whole server whose database is behind the proxy, and a watch of three users there. */
async function startBehindServer(proxy: PostgresProxy) {
  const server = await startTestServer({ address: proxy.address });
  const project = await server.project();
  const users = await makeUsers(db, project.id, 3);
  const watch = new LightWatch(users);
  const sessions = await openAll(server.url, project.accessKey, [watch]);
  await expect.poll(() => watch.isLive, PATIENCE).toBe(true);
  const dispose = async () => sessions.forEach((session) => session.destroy());
  return {
    users,
    watch,
    projectId: project.id,
    client: server.client(PresenceService, project.accessKey),
    [Symbol.asyncDispose]: dispose,
  };
}
