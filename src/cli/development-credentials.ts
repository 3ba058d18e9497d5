import { join } from "node:path";
import { readJson, writePrivateJson } from "./private-file.ts";

/** What `dev-credentials.json` in the data folder holds: all that it takes to try the development server. */
export interface DevelopmentCredentials {
  readonly url: string;
  readonly project_id: string;
  readonly access_key: string;
  readonly operator_key: string;
}

const pathIn = (dataDir: string): string => join(dataDir, "dev-credentials.json");

/** The credentials of the development server of a data folder, if it has had one. */
export async function readDevelopmentCredentials(dataDir: string): Promise<DevelopmentCredentials | undefined> {
  return (await readJson(pathIn(dataDir))) as DevelopmentCredentials | undefined;
}

/** Keeps them in the data folder, readable by its owner alone, in place of those that were there. */
export async function writeDevelopmentCredentials(dataDir: string, credentials: DevelopmentCredentials): Promise<void> {
  await writePrivateJson(pathIn(dataDir), credentials);
}
