import { readFileSync } from "node:fs";
import { afterAll, expect, test } from "vitest";
import { ids, makeProject, makeUsers, Reader, set, startPresence } from "../presence/presence-fixture.ts";
import { testDatabase } from "../support/database.ts";
import { startRedisCluster } from "./support/redis-cluster.ts";
import { redisEngine } from "./support/redis-fixture.ts";

const db = await testDatabase();
const projectId = await makeProject(db);
const cluster = await startRedisCluster();
afterAll(() => cluster[Symbol.asyncDispose]());
const [, rights = ""] = /`(~muster:\* [^`]+)`/.exec(readFileSync("docs/deployment.md", "utf8")) ?? [];
const credentials = { user: "muster", password: "s3cret" };
const target = { kind: "cluster" as const, seeds: cluster.target.seeds.map((seed) => ({ ...seed, ...credentials })) };

test("a user of Redis with the rights that the guide names is enough, and one without is refused", async () => {
  for (const master of cluster.masters)
    await master.send("ACL", "SETUSER", credentials.user, "on", `>${credentials.password}`, ...rights.split(" "));
  await using presence = startPresence(db, undefined, await redisEngine(db, target));
  const users = await makeUsers(db, projectId, 30);
  await using reader = new Reader(presence, { projectId, keys: ids(users) });
  await reader.snapshot();
  await Promise.all(users.map((user) => set(presence, projectId, user, { status: "online" })));
  await reader.until(() => users.every((user) => reader.statusOf(user) === "online"));
  await presence.engine.sweep?.(AbortSignal.timeout(10_000));
  const [gone = ""] = users;
  presence.announceDeletion(projectId, gone);
  await reader.until(() => reader.statusOf(gone) === "offline");
  for (const master of cluster.masters) {
    const denied = (await master.send("ACL", "LOG")) as unknown[];
    expect(denied).toEqual([]);
    await master.send("ACL", "SETUSER", credentials.user, ">another", "<s3cret");
  }
  await using locked = await redisEngine(db, target);
  await expect(locked.get([])).rejects.toMatchObject({ reason: "STORAGE_UNAVAILABLE" });
});
