import { rm } from "node:fs/promises";
import { StartError } from "../../start-error.ts";
import { readJson, writePrivateJson } from "../private-file.ts";
import type { Position } from "./line-reader.ts";

/** What came of rows so far, by kind. */
export interface Counts {
  readonly created: number;
  readonly changed: number;
  readonly unchanged: number;
  readonly refused: number;
}

/** How far an import has come: everything before the position is acknowledged by the server. */
export interface ImportProgress extends Position {
  readonly counts: Counts;
  /** Bytes of the file of refusals that belong to what is before the position. */
  readonly errorBytes: number;
}

/** Keeps how far an import has come in a file, for the next run. */
export interface ImportState {
  /** Notes it. It is written before long, the latest alone, and whole or not at all. */
  note(progress: ImportProgress): void;
  /** Resolves once what was noted last is written. Throws StartError if it cannot be. */
  flush(): Promise<void>;
  /** Deletes the file: there is nothing left to go on with. */
  remove(): Promise<void>;
}

const VERSION = 1;

/** Gives what the file of an earlier run says; undefined: there is none. Throws StartError for one that is not of this import. */
export async function readImportState(path: string, projectId: string): Promise<ImportProgress | undefined> {
  const state = (await readJson(path)) as
    | (ImportProgress & { readonly version?: number; readonly projectId?: string })
    | undefined;
  if (!state) return undefined;
  if (state.version !== VERSION) throw new StartError(`${path} is no state of an import: name another file by --state`);
  if (state.projectId !== projectId)
    throw new StartError(`${path} is the state of an import into another project: use --restart to begin anew`);
  return state;
}

/** Keeps the state of an import into a project in the file; without a path: nowhere. */
export function createImportState(path: string | undefined, projectId: string): ImportState {
  let latest: ImportProgress | undefined;
  let writing: Promise<void> | undefined;
  let failure: StartError | undefined;

  async function write(): Promise<void> {
    while (path && latest) {
      const progress = latest;
      latest = undefined;
      await writePrivateJson(path, { version: VERSION, projectId, ...progress });
    }
  }

  return {
    note(progress) {
      latest = progress;
      writing ??= write()
        .catch((error: StartError) => void (failure ??= error))
        .finally(() => (writing = undefined));
    },
    async flush() {
      await writing;
      if (failure) throw failure;
    },
    async remove() {
      await writing;
      if (path) await rm(path, { force: true });
    },
  };
}
