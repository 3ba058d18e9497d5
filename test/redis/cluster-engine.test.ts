import { afterAll } from "vitest";
import { testEngine } from "../presence/engine-conformance.ts";
import { testDatabase } from "../support/database.ts";
import { startRedisCluster } from "./support/redis-cluster.ts";
import { setupFor } from "./support/redis-fixture.ts";

const db = await testDatabase();
const cluster = await startRedisCluster();
afterAll(() => cluster[Symbol.asyncDispose]());

testEngine(setupFor(db, cluster.target, cluster.masters));
