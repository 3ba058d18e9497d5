import { expect, onTestFinished, test } from "vitest";
import { createChain } from "../../src/presence/chain.ts";
import { channelOf, recordKey, slotOf, tagOf } from "../../src/presence/redis/tags.ts";
import { eventually, makeProject, makeUsers, set } from "../presence/presence-fixture.ts";
import { testDatabase } from "../support/database.ts";
import { startProcess, underLoad } from "./support/process.ts";
import { type RedisCluster, startRedisCluster } from "./support/redis-cluster.ts";
import { startRedisProxy } from "./support/redis-proxy.ts";
import type { RedisServer } from "./support/redis-server.ts";

const db = await testDatabase();
const projectId = await makeProject(db);
const subjectOf = (userId: string) => ({ projectId, userId });

async function clusterOf(options?: { replicated: boolean }): Promise<RedisCluster> {
  const cluster = await startRedisCluster(options);
  onTestFinished(() => cluster[Symbol.asyncDispose]());
  return cluster;
}

/** Which of the three masters has a user, before anything was moved. */
const partOf = (userId: string): number => Math.floor((slotOf(tagOf(subjectOf(userId))) * 3) / 16_384);

test("a master killed under load is replaced by its replica, and watchers see all that is set from then on", async () => {
  const cluster = await clusterOf({ replicated: true });
  const { presence, clock, watch } = await startProcess(db, projectId, cluster.target);
  const users = await makeUsers(db, projectId, 60);
  expect(new Set(users.map(partOf)).size).toBe(3);
  await Promise.all(users.map((user) => set(presence, projectId, user, { status: "before" })));
  const reader = await watch(users);
  const load = underLoad(presence, projectId, users);
  await load.stores(600);
  await cluster.masters[0]?.kill();
  await eventually(() => presence.hub.staleFor > 0);
  // The replica takes over by itself; then every user can be set again.
  await eventually(async () => {
    const all = users.map((user) => set(presence, projectId, user, { status: "after" }));
    return (await Promise.allSettled(all)).every(({ status }) => status === "fulfilled");
  });
  await load.stop();
  expect([...load.refusals]).toEqual(["STORAGE_UNAVAILABLE"]);
  await Promise.all(users.map((user) => set(presence, projectId, user, { status: "last" })));
  await eventually(async () => {
    await clock.advance(100);
    return users.every((user) => reader.statusOf(user) === "last");
  });
  await eventually(() => presence.hub.staleFor === 0);
  // Nobody is read again: what is told alone brings the next change.
  for (const user of users.slice(0, 20)) await set(presence, projectId, user, { status: "told" });
  await reader.until(() => users.slice(0, 20).every((user) => reader.statusOf(user) === "told"));
  expect(reader.failure).toBeUndefined();
});

test("without a replica only the users of the master that is gone are unavailable, until it is back", async () => {
  const cluster = await clusterOf();
  for (const master of cluster.masters) await master.send("CONFIG", "SET", "cluster-require-full-coverage", "no");
  const { presence } = await startProcess(db, projectId, cluster.target);
  const users = await makeUsers(db, projectId, 30);
  await cluster.masters[1]?.kill();
  const changes = users.map((userId) => ({
    subject: subjectOf(userId),
    chain: createChain([{ status: "online" }], "presence"),
  }));
  const { outcomes } = await presence.engine.set(changes);
  expect(outcomes.map((outcome) => outcome === "unavailable")).toEqual(users.map((user) => partOf(user) === 1));
  await cluster.masters[1]?.start();
  await eventually(async () => {
    const again = await presence.engine.set(changes);
    return again.outcomes.every((outcome) => typeof outcome === "object");
  });
});

/** Moves a slot with one key from one master to another, pausing at each state on the way. */
async function moveSlot(slot: number, key: string, [from, to]: [RedisServer, RedisServer], pause: () => Promise<void>) {
  const [source, target] = [String(await from.send("CLUSTER", "MYID")), String(await to.send("CLUSTER", "MYID"))];
  await to.send("CLUSTER", "SETSLOT", String(slot), "IMPORTING", source);
  await from.send("CLUSTER", "SETSLOT", String(slot), "MIGRATING", target);
  await pause();
  await from.send("MIGRATE", "127.0.0.1", String(to.port), key, "0", "5000");
  await pause();
  for (const server of [to, from]) await server.send("CLUSTER", "SETSLOT", String(slot), "NODE", target);
}

test("a tag that moves to another master, and back, is set and read all the way, and told of once it is there", async () => {
  const cluster = await clusterOf();
  const { presence, watch } = await startProcess(db, projectId, cluster.target);
  const [user = ""] = await makeUsers(db, projectId, 1);
  const tag = tagOf(subjectOf(user));
  await set(presence, projectId, user, { status: "s0" });
  const reader = await watch([user]);
  const [from, to] = [partOf(user), (partOf(user) + 1) % 3].map((part) => cluster.masters[part]) as [
    RedisServer,
    RedisServer,
  ];
  let count = 0;
  const setAndRead = async () => {
    await set(presence, projectId, user, { status: `s${++count}` });
    const { users } = await presence.engine.get([subjectOf(user)]);
    expect(users[0]?.record?.steps[0]?.status).toBe(`s${count}`);
  };
  // While the key is ahead of its channel nobody is told; where both are again, all is made good.
  const told = () => reader.until(() => reader.statusOf(user) === `s${count}`);
  const key = recordKey(tag, subjectOf(user));
  for (const way of [
    [from, to],
    [to, from],
    [from, to],
  ] as [RedisServer, RedisServer][]) {
    await moveSlot(slotOf(tag), key, way, setAndRead);
    await told();
    expect(await way[1].send("PUBSUB", "SHARDNUMSUB", channelOf(tag))).toEqual([channelOf(tag), 1]);
    await setAndRead();
    await told();
  }
  expect(reader.kinds).not.toContain("resync");
});

test("a server starts though those named are silent, and serves once one of them answers", async () => {
  const cluster = await clusterOf();
  const proxies = await Promise.all(cluster.masters.map(({ port }) => startRedisProxy(port)));
  for (const proxy of proxies) {
    onTestFinished(() => proxy[Symbol.asyncDispose]());
    proxy.silent = true;
  }
  const seeds = proxies.map(({ address }) => address);
  const { presence } = await startProcess(db, projectId, { kind: "cluster", seeds });
  const [user = ""] = await makeUsers(db, projectId, 1);
  const put = () => set(presence, projectId, user, { status: "online" });
  await expect(put()).rejects.toMatchObject({ reason: "STORAGE_UNAVAILABLE" });
  for (const proxy of proxies.slice(1)) proxy.silent = false;
  await eventually(() => put().then(Boolean, () => false));
});
