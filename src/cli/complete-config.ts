import type { Config, EnvironmentConfig } from "../config.ts";
import { startEmbeddedPostgres } from "../db/embedded-postgres.ts";
import { StartError } from "../start-error.ts";
import { developmentSecrets } from "./development-secrets.ts";

/** Fills in what the environment left out: without DATABASE_URL, an embedded Postgres, which `resources` ends. */
export async function completeConfig(config: EnvironmentConfig, resources: AsyncDisposableStack): Promise<Config> {
  const { database, operatorKey, encryptionKeys } = config;
  if (!database) {
    const secrets = await developmentSecrets(config);
    const postgres = resources.use(await startEmbeddedPostgres({ folder: config.dataDir }));
    return { ...config, ...secrets, database: postgres.address };
  }
  if (!operatorKey || !encryptionKeys) throw new StartError("The operator key and the encryption key must be set");
  return { ...config, database, operatorKey, encryptionKeys };
}
