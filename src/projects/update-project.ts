import { LockMode } from "@mikro-orm/core";
import { transaction } from "../db/transaction.ts";
import { MusterError } from "../errors.ts";
import type { ProjectPorts } from "./create-project.ts";
import { ProjectEntity } from "./project.entity.ts";
import { type ProjectRecord, projectRecord } from "./project-directory.ts";
import { changedSettings, type SettingsChange } from "./project-settings.ts";

/** What to change of a project. */
export interface ProjectChange {
  /** Empty: the name stays. */
  readonly displayName: string;
  readonly settings: SettingsChange;
}

/** Changes the name or the settings. PROJECT_NOT_FOUND; REQUEST_INVALID for settings that contradict each other; SIGNING_KEYS_FULL. */
export async function updateProject(
  { db, clock, signingKeys, tokenTtlMs }: ProjectPorts,
  signal: AbortSignal,
  projectId: string,
  change: ProjectChange,
): Promise<ProjectRecord> {
  return transaction(db, { projectId, signal }, async (em) => {
    const project = await em.findOne(ProjectEntity, { id: projectId }, { lockMode: LockMode.PESSIMISTIC_WRITE });
    if (!project) throw new MusterError("PROJECT_NOT_FOUND");
    const before = projectRecord(project, tokenTtlMs).settings.signingAlgorithm;
    project.displayName = change.displayName || project.displayName;
    project.settings = changedSettings(project.settings, change.settings, tokenTtlMs);
    project.updateTime = new Date(clock.now());
    await em.flush();
    const record = projectRecord(project, tokenTtlMs);
    const algorithm = record.settings.signingAlgorithm;
    if (algorithm !== before) await signingKeys.use(em, projectId, algorithm);
    return record;
  });
}
