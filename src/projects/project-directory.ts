import type { Clock } from "../clock.ts";
import { createMaxAgeCache } from "../db/max-age-cache.ts";
import type { Database } from "../db/orm.ts";
import { read } from "../db/transaction.ts";
import { MusterError } from "../errors.ts";
import { ProjectEntity } from "./project.entity.ts";
import { type ProjectSettings, settingsInForce } from "./project-settings.ts";

/** A project with its settings in force. */
export interface ProjectRecord {
  readonly id: string;
  readonly displayName: string;
  readonly settings: ProjectSettings;
  readonly createTime: Date;
  readonly updateTime: Date;
}

/** The projects as every call needs them. */
export interface ProjectDirectory {
  /** The project, at most half a second old, so that a change reaches every server within a second. PROJECT_NOT_FOUND. */
  get(projectId: string): Promise<ProjectRecord>;
  /** Makes this process read the project anew. */
  forget(projectId: string): void;
}

/** How old a cached value may be, in milliseconds; and while the database is away. */
export const MAX_AGE_MS = 500;
export const STALE_MS = 15 * 60_000;

/** `tokenTtlMs` is the instance's default life of a token. */
export function createProjectDirectory(db: Database, clock: Clock, tokenTtlMs: number): ProjectDirectory {
  return createMaxAgeCache(clock, MAX_AGE_MS, STALE_MS, async (id) => {
    const project = await read(db, {}, (em) => em.findOne(ProjectEntity, { id }));
    if (!project) throw new MusterError("PROJECT_NOT_FOUND");
    return projectRecord(project, tokenTtlMs);
  });
}

export const projectRecord = (project: ProjectEntity, tokenTtlMs: number): ProjectRecord => ({
  id: project.id,
  displayName: project.displayName,
  settings: settingsInForce(project.settings, tokenTtlMs),
  createTime: project.createTime,
  updateTime: project.updateTime,
});
