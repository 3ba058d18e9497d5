import type { EntitySchema } from "@mikro-orm/core";
import { Migrator } from "@mikro-orm/migrations";
import { MikroORM } from "@mikro-orm/postgresql";
import type { Pool } from "pg";
import { systemClock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import { createLookUps, type LookUps } from "./look-ups.ts";
import { guardAgainstLoss } from "./lost-connections.ts";
import { MIGRATIONS } from "./migrations/list.ts";

/** Where the database is. */
export interface DatabaseAddress {
  /** Host name, address, or the folder of a unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string;
  readonly database: string;
  /** Whether the connection is encrypted, and whether the server's certificate is checked. */
  readonly tls?: { readonly verify: boolean };
}

/** An open database: MikroORM for most, the same pool for hot statements, and a connection that short reads share. */
export interface Database extends AsyncDisposable {
  readonly orm: MikroORM;
  readonly pool: Pool;
  readonly lookUps: LookUps;
  readonly address: DatabaseAddress;
}

export interface DatabaseOptions {
  /** The most connections this process holds; the LISTEN connection and the one for look-ups come on top. */
  readonly poolSize: number;
  /** The longest a single statement may take, in milliseconds. */
  readonly statementTimeoutMs: number;
}

/** How long an answer may be on its way. */
const ANSWER_MS = 5_000;

const timeouts = ({ statementTimeoutMs }: DatabaseOptions) => ({
  connectionTimeoutMillis: 5_000,
  statement_timeout: statementTimeoutMs,
  lock_timeout: Math.min(statementTimeoutMs, 5_000),
  idle_in_transaction_session_timeout: 10_000,
});

/** Holds every query of a project's entity to the project of its scope; without one the query is refused. */
function projectFilter(entities: readonly EntitySchema[]) {
  const owned = entities.filter((entity) => "projectId" in entity.meta.properties);
  return {
    name: "project",
    cond: ({ projectId }: { projectId: string }) => ({ projectId }),
    entity: owned.map((entity) => entity.meta.className),
    default: true,
  };
}

/** Everything pg needs to connect. */
export function connectionOptions(address: DatabaseAddress) {
  return {
    host: address.host,
    port: address.port,
    user: address.user,
    database: address.database,
    application_name: "muster",
    ...(address.password !== undefined && { password: address.password }),
    ...(address.tls && { ssl: { rejectUnauthorized: address.tls.verify } }),
  };
}

/** Connects. `entities` are handed in: this layer knows no feature. */
export async function openDatabase(
  address: DatabaseAddress,
  entities: EntitySchema[],
  options: DatabaseOptions,
  logger: Logger,
): Promise<Database> {
  const { host, port, user, password, database, ...driverOptions } = { password: "", ...connectionOptions(address) };
  const orm = await MikroORM.init({
    host,
    port,
    user,
    password,
    dbName: database,
    entities,
    discovery: { warnWhenNoEntities: false },
    filters: { project: projectFilter(entities) },
    extensions: [Migrator],
    migrations: { migrationsList: [...MIGRATIONS], snapshot: false, tableName: "migrations" },
    pool: { min: 0, max: options.poolSize, idleTimeoutMillis: 60_000 },
    driverOptions: { ...driverOptions, ...timeouts(options) },
    colors: false,
    logger: (message) => logger.debug({ source: "mikro-orm" }, message),
    ensureDatabase: false,
  });
  const pool = (await (
    orm.em.getConnection() as unknown as { getNativeClient(): Promise<Pool> }
  ).getNativeClient()) as Pool;
  // A statement that takes too long is answered with that; without any answer nobody is there.
  guardAgainstLoss(pool, options.statementTimeoutMs + ANSWER_MS);
  const lookUps = createLookUps({ connection: connectionOptions(address), clock: systemClock, logger });
  return {
    orm,
    pool,
    lookUps,
    address,
    async [Symbol.asyncDispose]() {
      await lookUps[Symbol.asyncDispose]();
      await orm.close(true);
    },
  };
}
