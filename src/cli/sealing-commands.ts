import { Command } from "commander";
import { countSeals } from "../audit/count-seals.ts";
import { countSealed, reseal } from "../db/reseal.ts";
import { SEALED_COLUMNS } from "../sealed-columns.ts";
import { createSealer } from "../sealing.ts";
import { SETTINGS } from "../settings.ts";
import { StartError } from "../start-error.ts";
import type { Host } from "./host.ts";
import { printRecord, printTable } from "./print.ts";
import { type DatabasePorts, withDatabase } from "./with-database.ts";

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

async function showStatus(host: Host, json: boolean, { db, encryptionKeys }: DatabasePorts): Promise<void> {
  const sealer = createSealer(encryptionKeys);
  const counts = await countSealed(db, SEALED_COLUMNS);
  const seals = await countSeals(db);
  const ids = new Set([...sealer.keyIds, ...counts.map(({ keyId }) => keyId), ...seals.keys()]);
  const keys = [...ids].map((id) => {
    const under = counts.filter(({ keyId }) => keyId === id);
    const place = sealer.keyIds.indexOf(id);
    return {
      key_id: id,
      use: place < 0 ? "missing" : place === 0 ? "seals" : "opens",
      secrets: under.reduce((sum, { rows }) => sum + rows, 0),
      audit_seals: seals.get(id) ?? 0,
      in: under.map(({ table, rows }) => `${table} ${rows}`),
    };
  });
  printTable(host, json, keys, ["key_id", "use", "secrets", "audit_seals", "in"]);
}

async function rotate(host: Host, json: boolean, { db, encryptionKeys }: DatabasePorts): Promise<void> {
  const sealer = createSealer(encryptionKeys);
  const { resealed, unopened } = await reseal(db, sealer, SEALED_COLUMNS);
  const counts = await countSealed(db, SEALED_COLUMNS);
  const remaining = counts.filter(({ keyId }) => keyId !== sealer.keyIds[0]).reduce((sum, { rows }) => sum + rows, 0);
  printRecord(host, json, { resealed, remaining });
  if (unopened > 0)
    throw new StartError(
      `${unopened} secrets do not open: they were changed, or belong elsewhere. They stay as they are`,
    );
}
