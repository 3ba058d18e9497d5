import type { Database } from "../db/orm.ts";
import { read } from "../db/transaction.ts";
import { invalid, MusterError } from "../errors.ts";
import { UUID } from "../ids.ts";
import { ProjectEntity } from "./project.entity.ts";
import { type ProjectRecord, projectRecord } from "./project-directory.ts";

/** One page of projects. */
export interface ProjectPage {
  readonly projects: ProjectRecord[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

const DEFAULT_PAGE_SIZE = 50;

/** The projects, oldest first: ids rise with time, so the last id of a page is where the next one begins. */
export async function listProjects(
  db: Database,
  signal: AbortSignal,
  tokenTtlMs: number,
  page: { size: number; token: string },
): Promise<ProjectPage> {
  const after = page.token && Buffer.from(page.token, "base64url").toString();
  if (after && !UUID.test(after)) throw invalid("page_token", "is not a token of this list");
  const size = page.size || DEFAULT_PAGE_SIZE;
  const found = await read(db, { signal }, (em) =>
    em.find(ProjectEntity, after ? { id: { $gt: after } } : {}, { orderBy: { id: "asc" }, limit: size + 1 }),
  );
  const projects = found.slice(0, size).map((project) => projectRecord(project, tokenTtlMs));
  const last = projects.at(-1);
  return {
    projects,
    nextPageToken: found.length > size && last ? Buffer.from(last.id).toString("base64url") : "",
  };
}

/** One project as the database has it now. PROJECT_NOT_FOUND. */
export async function getProject(
  db: Database,
  signal: AbortSignal,
  tokenTtlMs: number,
  projectId: string,
): Promise<ProjectRecord> {
  const project = await read(db, { signal }, (em) => em.findOne(ProjectEntity, { id: projectId }));
  if (!project) throw new MusterError("PROJECT_NOT_FOUND");
  return projectRecord(project, tokenTtlMs);
}
