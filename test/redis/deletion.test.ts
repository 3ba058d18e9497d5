import { randomUUID } from "node:crypto";
import { afterAll, expect, test } from "vitest";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { createChain } from "../../src/presence/chain.ts";
import { recordKey, tagOf } from "../../src/presence/redis/tags.ts";
import {
  deleteUser,
  eventually,
  ids,
  makeUsers,
  Reader,
  set,
  startPresence,
  suspendUser,
} from "../presence/presence-fixture.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { exportOf } from "../users/export-fixture.ts";
import { redisEngine } from "./support/redis-fixture.ts";
import { startRedis } from "./support/redis-server.ts";

// What is acknowledged is on disk: a record outlives the server.
const redis = await startRedis("--appendonly", "yes", "--appendfsync", "always");
afterAll(() => redis[Symbol.asyncDispose]());
const target = { kind: "standalone", address: redis.address } as const;
const { db, client, operator, project: makeProject } = await startApp({ config: { redis: target } });
const { id: projectId, accessKey } = await makeProject();
const [users, presences] = [client(UserService, accessKey), client(PresenceService, accessKey)];
const byId = (value: string) => ({ case: "id", value }) as const;

const keyOf = (userId: string) => recordKey(tagOf({ projectId, userId }), { projectId, userId });
const kept = (userId: string) => redis.send("GET", keyOf(userId));

async function userWith(status: string): Promise<string> {
  const { user } = await users.upsertUser({});
  const id = user?.id ?? "";
  await presences.setPresence({ ref: { ref: byId(id) }, presence: { status, message: "private" } });
  return id;
}

test("deleting a user removes its presence, and tells those that watch", async () => {
  const id = await userWith("online");
  expect(await kept(id)).toContain("private");
  await using presence = startPresence(db, undefined, await redisEngine(db, target));
  await using reader = new Reader(presence, { projectId, keys: ids([id]) });
  await reader.snapshot();
  await users.deleteUser({ ref: { ref: byId(id) } });
  await reader.until(({ deleted }) => deleted.includes(id));
  expect(await kept(id)).toBe("deleted");
  // The word for late writers goes as well.
  expect(Number(await redis.send("TTL", keyOf(id)))).toBeGreaterThan(0);
  expect(await reasonOf(presences.getPresence({ ref: { ref: byId(id) } }))).toBe("USER_DELETED");
  const again = presences.setPresence({ ref: { ref: byId(id) }, presence: { status: "online" } });
  expect(await reasonOf(again)).toBe("USER_DELETED");
});

test("a change that saw the user just before its deletion comes too late", async () => {
  const [userId = ""] = await makeUsers(db, projectId, 1);
  await using engine = await redisEngine(db, target);
  engine.announceDeletion({ projectId, userId });
  await eventually(async () => (await kept(userId)) === "deleted");
  const chain = createChain([{ status: "online" }], "presence");
  const { outcomes } = await engine.set([{ subject: { projectId, userId }, chain }]);
  expect(outcomes).toEqual(["no such user"]);
});

test("a user deleted while Redis is away never looks online, and its record goes with the next sweep", async () => {
  const id = await userWith("online");
  const stays = await userWith("busy");
  await redis.kill();
  expect(await reasonOf(presences.getPresence({ ref: { ref: byId(id) } }))).toBe("STORAGE_UNAVAILABLE");
  await users.deleteUser({ ref: { ref: byId(id) } });
  await redis.start();
  expect(await kept(id)).toContain("private");
  await eventually(async () => (await reasonOf(presences.getPresence({ ref: { ref: byId(id) } }))) === "USER_DELETED");
  const { presences: found, missing } = await presences.batchGetPresence({
    refs: [{ ref: byId(id) }, { ref: byId(stays) }],
  });
  expect([found.map(({ status }) => status), missing]).toMatchObject([["busy"], [{ ref: byId(id) }]]);
  await using presence = startPresence(db, undefined, await redisEngine(db, target));
  await using reader = new Reader(presence, { projectId, keys: ids([id, stays]) });
  await reader.snapshot();
  expect(reader.historyOf(id)).not.toContain("online");
  await presence.engine.sweep?.(AbortSignal.timeout(10_000));
  expect(await kept(id)).toBe("deleted");
  expect(await kept(stays)).toContain("busy");
});

test("who may not sign in has no presence, also where its end did not reach Redis", async () => {
  const id = await userWith("online");
  const clock = createFakeClock();
  await using presence = startPresence(db, clock, await redisEngine(db, target));
  await using reader = new Reader(presence, { projectId, keys: ids([id]) });
  await reader.snapshot();
  expect(reader.statusOf(id)).toBe("online");
  await suspendUser(db, projectId, id);
  expect(await kept(id)).toContain("online");
  expect((await presences.getPresence({ ref: { ref: byId(id) } })).presence?.status).toBe("offline");
  // Whoever watches is told within a minute, without a resync.
  await clock.advance(60_000);
  await reader.until(() => reader.statusOf(id) === "offline");
  expect(reader.kinds).not.toContain("resync");
});

test("a project that is deleted takes its presences along with the next sweep, and another deployment's stay", async () => {
  await using engine = await redisEngine(db, target);
  const doomed = await makeProject();
  const { user } = await client(UserService, doomed.accessKey).upsertUser({});
  const ref = { ref: byId(user?.id ?? "") };
  await client(PresenceService, doomed.accessKey).setPresence({ ref, presence: { status: "online" } });
  const subjects = [doomed.id, randomUUID()].map((project) => ({ projectId: project, userId: user?.id ?? "" }));
  const keys = subjects.map((subject) => recordKey(tagOf(subject), subject));
  await redis.send("SET", keys[1] ?? "", '1 1 1 [{"status":"elsewhere"}]');
  await operator(ProjectService).deleteProject({ projectId: doomed.id });
  await engine.sweep?.(AbortSignal.timeout(10_000));
  expect(await redis.send("MGET", ...keys)).toEqual(["deleted", '1 1 1 [{"status":"elsewhere"}]']);
});

test("what stands in a record's place and is none is no presence, and gives way to one", async () => {
  const id = await userWith("online");
  await redis.send("SET", keyOf(id), "something else");
  const get = async () => (await presences.getPresence({ ref: { ref: byId(id) } })).presence?.status;
  expect(await get()).toBe("offline");
  await presences.setPresence({ ref: { ref: byId(id) }, presence: { status: "back" } });
  expect(await get()).toBe("back");
});

test("the sweep looks at every record, and leaves those of users that are there and what is not ours", async () => {
  await using presence = startPresence(db, undefined, await redisEngine(db, target));
  const all = await makeUsers(db, projectId, 1_500);
  await Promise.all(all.map((user) => set(presence, projectId, user, { status: "online" })));
  const gone = all.filter((_, n) => n % 3 === 0);
  for (const user of gone) await deleteUser(db, projectId, user);
  await redis.send("SET", "muster:{1}:something", "else");
  await presence.engine.sweep?.(AbortSignal.timeout(10_000));
  const values = (await redis.send("MGET", ...all.map(keyOf))) as string[];
  expect(values.map((value) => value === "deleted")).toEqual(all.map((_, n) => n % 3 === 0));
  expect(await redis.send("GET", "muster:{1}:something")).toBe("else");
  const aborted = presence.engine.sweep?.(AbortSignal.abort(new Error("the process ends")));
  await expect(aborted).rejects.toThrow("the process ends");
});

test("an export holds the presence that Redis keeps, or what the database still has from before", async () => {
  const id = await userWith("busy");
  const { presence } = await exportOf(users, id);
  const { presence: shown } = await presences.getPresence({ ref: { ref: byId(id) } });
  expect(presence).toMatchObject({
    revision: Number(shown?.revision),
    steps: [{ status: "busy", message: "private" }],
  });
  const { user } = await users.upsertUser({});
  await db.pool.query(
    `insert into presences (project_id, user_id, rev, set_at, since, first_ttl, chain)
     values ($1, $2, 1, 1, 1, null, '[{"status":"earlier"}]')`,
    [projectId, user?.id],
  );
  expect((await exportOf(users, user?.id ?? "")).presence).toMatchObject({ steps: [{ status: "earlier" }] });
});
