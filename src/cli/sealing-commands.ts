import { Command } from "commander";
import { type EnvironmentConfig, readConfig } from "../config.ts";
import { startEmbeddedPostgres } from "../db/embedded-postgres.ts";
import { type Database, openDatabase } from "../db/orm.ts";
import { countSealed, reseal } from "../db/reseal.ts";
import { createLogger } from "../logger.ts";
import { SEALED_COLUMNS } from "../sealed-columns.ts";
import { createSealer, type Sealer } from "../sealing.ts";
import { SETTINGS } from "../settings.ts";
import { StartError } from "../start-error.ts";
import { developmentSecrets } from "./development-secrets.ts";
import type { Host } from "./host.ts";
import { printRecord, printTable } from "./print.ts";

interface Ports {
  readonly db: Database;
  readonly sealer: Sealer;
}

/** `muster sealing …`: rotates the encryption key. Works on the database itself, with the environment of the servers. */
export function sealingCommand(host: Host): Command {
  const group = new Command("sealing").description(
    `Rotate the encryption key, ${SETTINGS.encryptionKeys.name}, while servers run`,
  );
  const json = (command: Command) => command.option("--json", "print JSON, errors too");
  group.addCommand(
    json(new Command("status").description("Count the secrets that are sealed under each key")).action(
      (options: { json?: true }) => withDatabase(host, (ports) => showStatus(host, options.json ?? false, ports)),
    ),
  );
  group.addCommand(
    json(new Command("rotate").description("Seal anew, under the first key, what is sealed under the others")).action(
      (options: { json?: true }) => withDatabase(host, (ports) => rotate(host, options.json ?? false, ports)),
    ),
  );
  return group;
}

async function showStatus(host: Host, json: boolean, { db, sealer }: Ports): Promise<void> {
  const counts = await countSealed(db, SEALED_COLUMNS);
  const ids = new Set([...sealer.keyIds, ...counts.map(({ keyId }) => keyId)]);
  const keys = [...ids].map((id) => {
    const under = counts.filter(({ keyId }) => keyId === id);
    const place = sealer.keyIds.indexOf(id);
    return {
      key_id: id,
      use: place < 0 ? "missing" : place === 0 ? "seals" : "opens",
      secrets: under.reduce((sum, { rows }) => sum + rows, 0),
      in: under.map(({ table, rows }) => `${table} ${rows}`),
    };
  });
  printTable(host, json, keys, ["key_id", "use", "secrets", "in"]);
}

async function rotate(host: Host, json: boolean, { db, sealer }: Ports): Promise<void> {
  const { resealed, unopened } = await reseal(db, sealer, SEALED_COLUMNS);
  const counts = await countSealed(db, SEALED_COLUMNS);
  const remaining = counts.filter(({ keyId }) => keyId !== sealer.keyIds[0]).reduce((sum, { rows }) => sum + rows, 0);
  printRecord(host, json, { resealed, remaining });
  if (unopened > 0)
    throw new StartError(
      `${unopened} secrets do not open: they were changed, or belong elsewhere. They stay as they are`,
    );
}

async function withDatabase(host: Host, work: (ports: Ports) => Promise<void>): Promise<void> {
  const config = readConfig(host.env, { secrets: false });
  await using resources = new AsyncDisposableStack();
  const sealer = createSealer(await encryptionKeysOf(config));
  const address = config.database ?? resources.use(await startEmbeddedPostgres({ folder: config.dataDir })).address;
  const options = { poolSize: 2, statementTimeoutMs: config.dbStatementTimeoutMs };
  const db = resources.use(await openDatabase(address, [], options, createLogger("error", host.stderr)));
  if ((await db.orm.migrator.getPending()).length > 0)
    throw new StartError("The schema is not up to date: run muster migrate first");
  await work({ db, sealer });
}

async function encryptionKeysOf(config: EnvironmentConfig): Promise<readonly Uint8Array[]> {
  if (!config.database) return (await developmentSecrets(config)).encryptionKeys;
  if (!config.encryptionKeys)
    throw new StartError(`${SETTINGS.encryptionKeys.name} must be set, as the servers have it`);
  return config.encryptionKeys;
}
