import { readFile } from "node:fs/promises";
import type { KnownHead } from "../audit/verify-chain.ts";
import { UUID } from "../ids.ts";
import { StartError } from "../start-error.ts";

/** The ends of trails as they were at another time, by the ids of their projects. */
export type KnownHeads = ReadonlyMap<string, readonly KnownHead[]>;

const HEAD = /^([0-9a-f-]{36})=([1-9]\d{0,17}):([0-9a-f]{64})$/;

/** `<project>=<number>:<hash>`, one after the other. Throws an Error that continues what the text "…". */
export function headOption(text: string, before: string[] = []): string[] {
  const [, projectId] = HEAD.exec(text) ?? [];
  if (!projectId || !UUID.test(projectId))
    throw new Error("must be a project's id, =, the number of a seal, : and its hash");
  return [...before, text];
}

/** The heads of the options, and those of the output of a former `muster audit verify --json`. Throws StartError for a file that is none. */
export async function knownHeads(options: readonly string[], path: string | undefined): Promise<KnownHeads> {
  const texts = [...options, ...(path === undefined ? [] : await headsIn(path))];
  const heads = new Map<string, KnownHead[]>();
  for (const text of texts) {
    const [, projectId = "", number = "", hash = ""] = HEAD.exec(text) ?? [];
    heads.set(projectId, [...(heads.get(projectId) ?? []), { number, hash }]);
  }
  return heads;
}

interface Report {
  readonly projects: readonly { readonly project_id: string; readonly head: string | null }[];
}

async function headsIn(path: string): Promise<string[]> {
  const text = await readFile(path, "utf8");
  try {
    const { projects } = JSON.parse(text) as Report;
    return projects.flatMap(({ project_id: id, head }) => (head === null ? [] : headOption(`${id}=${head}`)));
  } catch {
    throw new StartError(`${path} is not what muster audit verify --json prints`);
  }
}
