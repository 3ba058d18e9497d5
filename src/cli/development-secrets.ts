import { randomBytes } from "node:crypto";
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { EnvironmentConfig } from "../config.ts";
import { makeFolder } from "../db/make-folder.ts";
import { encryptionKeys, OPERATOR_KEY_PREFIX, operatorKey } from "../setting-values.ts";
import { StartError } from "../start-error.ts";
import { readJson, writePrivateJson } from "./private-file.ts";

export interface Secrets {
  readonly operatorKey: string;
  readonly encryptionKeys: readonly Uint8Array[];
}

/**
 * The secrets of a server with an embedded database: those of the environment, else those of `secrets.json` in the data
 * folder, which the first start makes. Throws StartError if the file is lost while data sealed by it is there.
 */
export async function developmentSecrets(config: EnvironmentConfig): Promise<Secrets> {
  const path = join(config.dataDir, "secrets.json");
  if (config.operatorKey && config.encryptionKeys)
    return { operatorKey: config.operatorKey, encryptionKeys: config.encryptionKeys };
  await makeFolder(resolve(config.dataDir));
  if (!(await readJson(path))) await makeSecrets(config.dataDir, path);
  const kept = (await readJson(path)) as { operator_key: string; encryption_key: string };
  try {
    return {
      operatorKey: config.operatorKey ?? operatorKey(String(kept.operator_key)),
      encryptionKeys: config.encryptionKeys ?? encryptionKeys(String(kept.encryption_key)),
    };
  } catch {
    throw new StartError(`${path} does not hold an operator_key and an encryption_key`);
  }
}

async function makeSecrets(folder: string, path: string): Promise<void> {
  if (await stat(join(folder, "data")).catch(() => undefined))
    throw new StartError(
      `${path} is missing: the database beside it cannot be used without. Restore it, or delete ${folder}`,
    );
  const secrets = {
    operator_key: OPERATOR_KEY_PREFIX + randomBytes(32).toString("base64url"),
    encryption_key: randomBytes(32).toString("base64"),
  };
  await writePrivateJson(path, secrets, { keep: true });
}
