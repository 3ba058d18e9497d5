import { type EnvironmentConfig, readConfig } from "../config.ts";
import { startEmbeddedPostgres } from "../db/embedded-postgres.ts";
import { type Database, openDatabase } from "../db/orm.ts";
import { createLogger } from "../logger.ts";
import { SETTINGS } from "../settings.ts";
import { StartError } from "../start-error.ts";
import { developmentSecrets } from "./development-secrets.ts";
import type { Host } from "./host.ts";

/** What a command works on that needs no server. */
export interface DatabasePorts {
  readonly db: Database;
  /** As the servers have them. */
  readonly encryptionKeys: readonly Uint8Array[];
}

/** Opens the database that the environment names, or the embedded one of the data folder, for as long as the work takes. */
export async function withDatabase(host: Host, work: (ports: DatabasePorts) => Promise<void>): Promise<void> {
  const config = readConfig(host.env, { secrets: false });
  await using resources = new AsyncDisposableStack();
  const encryptionKeys = await encryptionKeysOf(config);
  const address = config.database ?? resources.use(await startEmbeddedPostgres({ folder: config.dataDir })).address;
  const options = { poolSize: 2, statementTimeoutMs: config.dbStatementTimeoutMs };
  const db = resources.use(await openDatabase(address, [], options, createLogger("error", host.stderr)));
  if ((await db.orm.migrator.getPending()).length > 0)
    throw new StartError("The schema is not up to date: run muster migrate first");
  await work({ db, encryptionKeys });
}

async function encryptionKeysOf(config: EnvironmentConfig): Promise<readonly Uint8Array[]> {
  if (!config.database) return (await developmentSecrets(config)).encryptionKeys;
  if (!config.encryptionKeys)
    throw new StartError(`${SETTINGS.encryptionKeys.name} must be set, as the servers have it`);
  return config.encryptionKeys;
}
