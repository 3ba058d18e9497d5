import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../../src/clock.ts";
import type { Database } from "../../../src/db/orm.ts";
import { createLogger } from "../../../src/logger.ts";
import type { PresenceEngine } from "../../../src/presence/engine.ts";
import type { RedisTarget } from "../../../src/presence/redis/masters.ts";
import { createRedisEngine } from "../../../src/presence/redis/redis-engine.ts";
import type { EngineSetup } from "../../presence/engine-conformance.ts";
import { deleteUser, makeProject, makeUsers, suspendUser } from "../../presence/presence-fixture.ts";
import type { RedisServer } from "./redis-server.ts";

/** One process's engine on Redis. */
export const redisEngine = (db: Database, target: RedisTarget): Promise<PresenceEngine> =>
  createRedisEngine({ db, target, clock: systemClock, logger: createLogger("silent") });

/** What the suite of all engines needs of one on these servers. */
export const setupFor = (db: Database, target: RedisTarget, servers: readonly RedisServer[]): EngineSetup => ({
  open: () => redisEngine(db, target),
  makeProject: () => makeProject(db),
  makeUsers: (projectId, count) => makeUsers(db, projectId, count),
  deleteUser: ({ projectId, userId }) => deleteUser(db, projectId, userId),
  suspendUser: ({ projectId, userId }) => suspendUser(db, projectId, userId),
  pass: (ms) => sleep(ms),
  async interrupt() {
    for (const server of servers) await server.send("CLIENT", "KILL", "TYPE", "normal");
    for (const server of servers) await server.send("CLIENT", "KILL", "TYPE", "pubsub");
  },
});
