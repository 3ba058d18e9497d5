import type { Clock } from "../clock.ts";
import type { PresenceEngine } from "./engine.ts";
import { createPostgresEngine, type PostgresEngineDeps } from "./postgres/postgres-engine.ts";
import type { RedisTarget } from "./redis/masters.ts";

export interface EngineDeps extends PostgresEngineDeps {
  /** Times real connections: the machine's own. */
  readonly clock: Clock;
  /** Undefined: Postgres. */
  readonly redis: RedisTarget | undefined;
}

/** The engine that presences are kept by. Dispose it before what it stands on. Redis is loaded only where it is used. */
export async function createEngine({ redis, ...deps }: EngineDeps): Promise<PresenceEngine> {
  if (!redis) return createPostgresEngine(deps);
  const { createRedisEngine } = await import("./redis/redis-engine.ts");
  return createRedisEngine({ ...deps, target: redis });
}
