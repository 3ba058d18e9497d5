import type { Clock } from "../clock.ts";
import { createLastKnown } from "../db/last-known.ts";
import { lookUp } from "../db/look-up.ts";
import type { Database } from "../db/orm.ts";
import type { NamedStatement } from "../db/statement.ts";
import { MusterError } from "../errors.ts";
import type { ProjectEntity } from "./project.entity.ts";
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

/**
 * How a process keeps what every call needs: at most half a second old, for a quarter of an hour while the database is away,
 * waiting at most a second for a look that does not come back.
 */
export const LAST_KNOWN = { maxAgeMs: 500, maxAwayMs: 15 * 60_000, patienceMs: 1_000, maxEntries: 10_000 } as const;

/** $1 project. */
const FIND_PROJECT: NamedStatement = {
  name: "projects_find",
  text: `select id, display_name as "displayName", settings, create_time as "createTime", update_time as "updateTime"
    from projects where id = $1`,
};

/** `tokenTtlMs` is the instance's default life of a token. */
export function createProjectDirectory(db: Database, clock: Clock, tokenTtlMs: number): ProjectDirectory {
  const known = createLastKnown<ProjectRecord>({
    ...LAST_KNOWN,
    clock,
    async load(id) {
      const [project] = await lookUp<ProjectEntity & Record<string, unknown>>(db, FIND_PROJECT, [id]);
      return project ? projectRecord(project, tokenTtlMs) : undefined;
    },
  });
  return {
    async get(projectId) {
      const project = await known.get(projectId);
      if (!project) throw new MusterError("PROJECT_NOT_FOUND");
      return project;
    },
    forget: (projectId) => known.forget(projectId),
  };
}

/** The record of a stored project, its settings in force. */
export const projectRecord = (project: ProjectEntity, tokenTtlMs: number): ProjectRecord => ({
  id: project.id,
  displayName: project.displayName,
  settings: settingsInForce(project.settings, tokenTtlMs),
  createTime: project.createTime,
  updateTime: project.updateTime,
});
