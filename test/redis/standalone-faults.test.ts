import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { eventually, MS, makeProject, makeUsers, set } from "../presence/presence-fixture.ts";
import { testDatabase } from "../support/database.ts";
import { createRandom } from "../support/random.ts";
import { startProcess, underLoad } from "./support/process.ts";
import { startRedisProxy } from "./support/redis-proxy.ts";
import { type RedisServer, startRedis } from "./support/redis-server.ts";

const db = await testDatabase();
const projectId = await makeProject(db);

const processOn = ({ address }: Pick<RedisServer, "address">) =>
  startProcess(db, projectId, { kind: "standalone", address });

async function redisServer(...settings: string[]): Promise<RedisServer> {
  const redis = await startRedis(...settings);
  onTestFinished(() => redis[Symbol.asyncDispose]());
  return redis;
}

test("killed under load it is told as unavailable, and once it is back, empty, all that is set is seen", async () => {
  const redis = await redisServer();
  const { presence, clock, watch } = await processOn(redis);
  const users = await makeUsers(db, projectId, 50);
  const [resting = "", ...busy] = users;
  await set(presence, projectId, resting, { status: "online" });
  const reader = await watch(users);
  expect(reader.statusOf(resting)).toBe("online");
  const load = underLoad(presence, projectId, busy);
  await load.stores(500);
  await redis.kill();
  await eventually(() => presence.hub.staleFor > 0);
  // What was last seen stays, and is called stale.
  await clock.advance(20_000);
  await reader.until(({ messages }) => messages.some(({ event }) => event.kind === "heartbeat" && event.stale));
  expect(reader.statusOf(resting)).toBe("online");
  await redis.start();
  await load.stores(500);
  await load.stop();
  expect([...load.refusals]).toEqual(["STORAGE_UNAVAILABLE"]);
  await Promise.all(busy.map((user) => set(presence, projectId, user, { status: "back" })));
  await eventually(async () => {
    await clock.advance(1_000);
    return busy.every((user) => reader.statusOf(user) === "back") && reader.statusOf(resting) === "offline";
  });
  expect(presence.hub.staleFor).toBe(0);
  // That it lost what had been told of is said before anything goes back.
  expect(reader.kinds).toContain("resync");
  expect(reader.failure).toBeUndefined();
});

test("streams end after a minute without it, and a server that starts without it serves once it is there", async () => {
  const redis = await redisServer();
  const first = await processOn(redis);
  const [user = ""] = await makeUsers(db, projectId, 1);
  const reader = await first.watch([user]);
  await redis.kill();
  await eventually(() => first.presence.hub.staleFor > 0);
  await first.clock.advance(59_000);
  expect(reader.failure).toBeUndefined();
  await first.clock.advance(21_000);
  await reader.until(({ failure }) => failure !== undefined);
  expect(reader.failure).toMatchObject({ reason: "STORAGE_UNAVAILABLE", extra: { retryAfterMs: 1_000 } });
  const second = await processOn(redis);
  await expect(set(second.presence, projectId, user, { status: "online" })).rejects.toMatchObject({
    reason: "STORAGE_UNAVAILABLE",
    extra: { retryAfterMs: 1_000 },
  });
  await expect(second.presence.engine.get([{ projectId, userId: user }])).rejects.toMatchObject({
    reason: "STORAGE_UNAVAILABLE",
  });
  await redis.start();
  for (const { presence } of [first, second])
    await eventually(() => set(presence, projectId, user, { status: "online" }).then(Boolean, () => false));
  const again = await second.watch([user]);
  expect(again.statusOf(user)).toBe("online");
});

test("where it comes back without its latest changes, watchers are told that, and then what it has", async () => {
  const redis = await redisServer();
  const { presence, clock, watch } = await processOn(redis);
  const [user = "", other = ""] = await makeUsers(db, projectId, 2);
  const kept = await set(presence, projectId, user, { status: "kept" });
  await redis.send("SAVE");
  const reader = await watch([user, other]);
  const { identity } = await presence.engine.get([]);
  const lost = await set(presence, projectId, user, { status: "lost" });
  await reader.until(() => reader.statusOf(user) === "lost");
  await redis.kill();
  await redis.start();
  await reader.until(() => reader.statusOf(user) === "kept");
  expect(reader.state.get(user)?.revision).toBe(kept.record.revision);
  expect(reader.kinds.indexOf("resync")).toBeGreaterThan(0);
  expect((await presence.engine.get([])).identity).not.toBe(identity);
  await set(presence, projectId, user, { status: "new" });
  await eventually(async () => {
    await clock.advance(10);
    return reader.statusOf(user) === "new";
  });
  expect(reader.state.get(user)?.revision).toBeGreaterThan(lost.record.revision);
});

test("notifications that are lost, doubled and out of order leave every watcher with what is stored", async () => {
  const redis = await redisServer();
  await using proxy = await startRedisProxy(redis.port);
  const { presence, clock, watch } = await processOn(proxy);
  const users = await makeUsers(db, projectId, 40);
  const reader = await watch(users);
  const random = createRandom(11);
  const held: Buffer[] = [];
  let meddled = 0;
  proxy.meddle = (notification) => {
    const [fate, copy] = [random(4), Buffer.from(notification)];
    if (fate > 0) meddled++;
    if (fate === 1) return [];
    if (fate === 2) return [copy, copy];
    if (fate === 0) return [copy, ...held.splice(0).toReversed()];
    held.push(copy);
    return [];
  };
  for (let round = 0; round < 15; round++) {
    const changed = users.filter(() => random(2) === 0);
    await Promise.all(
      changed.map((user) => set(presence, projectId, user, { status: `r${round}`, ttl: 3_600_000 * MS })),
    );
  }
  expect(meddled).toBeGreaterThan(50);
  const { users: stored } = await presence.engine.get(users.map((userId) => ({ projectId, userId })));
  const status = (index: number) => stored[index]?.record?.steps[0]?.status ?? "offline";
  // All that was lost is made good by the reading of every user within a minute.
  await clock.advance(60_000);
  await reader.until(() => users.every((user, index) => reader.statusOf(user) === status(index)));
  const revisions = new Map<string, number>();
  for (const { event } of reader.messages)
    for (const { userId, revision } of event.kind === "update" ? event.presences : []) {
      expect(revision).toBeGreaterThanOrEqual(revisions.get(userId) ?? 0);
      revisions.set(userId, revision);
    }
  expect(reader.kinds).not.toContain("resync");
});

test("a connection that is dead without an end is noticed, and given up for another", async () => {
  const redis = await redisServer();
  await using proxy = await startRedisProxy(redis.port);
  const { presence, watch } = await processOn(proxy);
  const beside = await processOn(redis);
  const [user = ""] = await makeUsers(db, projectId, 1);
  const reader = await watch([user]);
  proxy.silent = true;
  const unanswered = set(presence, projectId, user, { status: "unheard" });
  await expect(unanswered).rejects.toMatchObject({ reason: "STORAGE_UNAVAILABLE" });
  await eventually(() => presence.hub.staleFor > 0);
  await set(beside.presence, projectId, user, { status: "meanwhile" });
  proxy.silent = false;
  await reader.until(() => reader.statusOf(user) === "meanwhile");
  await set(beside.presence, projectId, user, { status: "after" });
  await reader.until(() => reader.statusOf(user) === "after");
});

test("who only watches notices as well that the server turned into a replica", async () => {
  const [redis, other] = [await redisServer(), await redisServer()];
  const { presence } = await processOn(redis);
  const { identity } = await presence.engine.get([]);
  await redis.send("REPLICAOF", "127.0.0.1", String(other.port));
  await eventually(() => presence.hub.staleFor > 0);
  await redis.send("REPLICAOF", "NO", "ONE");
  await eventually(() => presence.hub.staleFor === 0);
  expect((await presence.engine.get([])).identity).not.toBe(identity);
});

test("a server that turned into a replica is not read from, nor written to", async () => {
  const [redis, other] = [await redisServer(), await redisServer()];
  const { presence } = await processOn(redis);
  const [user = ""] = await makeUsers(db, projectId, 1);
  const put = (status: string) => set(presence, projectId, user, { status });
  await put("before");
  await redis.send("REPLICAOF", "127.0.0.1", String(other.port));
  await expect(put("lost")).rejects.toMatchObject({ reason: "STORAGE_UNAVAILABLE" });
  await eventually(() => presence.hub.staleFor > 0);
  for (let tries = 0; tries < 10; tries++) {
    await sleep(50);
    const read = presence.engine.get([{ projectId, userId: user }]);
    await expect(read).rejects.toMatchObject({ reason: "STORAGE_UNAVAILABLE" });
  }
  await redis.send("REPLICAOF", "NO", "ONE");
  await eventually(() => put("after").then(Boolean, () => false));
});

test("scripts that the server forgot are sent again", async () => {
  const redis = await redisServer();
  const { presence } = await processOn(redis);
  const users = await makeUsers(db, projectId, 20);
  for (const status of ["one", "two"]) {
    await redis.send("SCRIPT", "FLUSH");
    await Promise.all(users.map((user) => set(presence, projectId, user, { status })));
  }
  const { users: stored } = await presence.engine.get(users.map((userId) => ({ projectId, userId })));
  expect(stored.map((it) => it?.record?.steps[0]?.status)).toEqual(users.map(() => "two"));
});

test("a Redis without memory left refuses changes, and is read from", async () => {
  const redis = await redisServer();
  const { presence } = await processOn(redis);
  const [user = ""] = await makeUsers(db, projectId, 1);
  await set(presence, projectId, user, { status: "before" });
  await redis.send("CONFIG", "SET", "maxmemory", "1");
  await expect(set(presence, projectId, user, { status: "after" })).rejects.toMatchObject({
    reason: "STORAGE_UNAVAILABLE",
  });
  const { users } = await presence.engine.get([{ projectId, userId: user }]);
  expect(users[0]?.record?.steps[0]?.status).toBe("before");
  await redis.send("CONFIG", "SET", "maxmemory", "0");
  await set(presence, projectId, user, { status: "after" });
});
