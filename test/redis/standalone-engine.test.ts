import { afterAll } from "vitest";
import { testEngine } from "../presence/engine-conformance.ts";
import { testDatabase } from "../support/database.ts";
import { setupFor } from "./support/redis-fixture.ts";
import { startRedis } from "./support/redis-server.ts";

const db = await testDatabase();
const redis = await startRedis();
afterAll(() => redis[Symbol.asyncDispose]());

testEngine(setupFor(db, { kind: "standalone", address: redis.address }, [redis]));
