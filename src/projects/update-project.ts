import { isDeepStrictEqual } from "node:util";
import { LockMode } from "@mikro-orm/core";
import { appendAudit } from "../audit/append-audit.ts";
import type { WriteScope } from "../db/recorded.ts";
import { transaction } from "../db/transaction.ts";
import { MusterError } from "../errors.ts";
import { appendEvent } from "../events/append-event.ts";
import type { ProjectPorts } from "./create-project.ts";
import { ProjectEntity } from "./project.entity.ts";
import { type ProjectRecord, projectRecord } from "./project-directory.ts";
import {
  changedSettings,
  type SettingName,
  type SettingsChange,
  settingsInForce,
  wireNameOf,
} from "./project-settings.ts";

/** What to change of a project. */
export interface ProjectChange {
  /** Empty: the name stays. */
  readonly displayName: string;
  readonly settings: SettingsChange;
}

/** Changes the name or the settings, with `project.updated`; where all is as it was nothing is written. PROJECT_NOT_FOUND; REQUEST_INVALID for settings that contradict each other; SIGNING_KEYS_FULL. */
export async function updateProject(
  { db, clock, newId, signingKeys, tokenTtlMs }: ProjectPorts,
  scope: WriteScope,
  change: ProjectChange,
): Promise<ProjectRecord> {
  const { projectId, act } = scope;
  return transaction(db, scope, async (em) => {
    const project = await em.findOne(ProjectEntity, { id: projectId }, { lockMode: LockMode.PESSIMISTIC_WRITE });
    if (!project) throw new MusterError("PROJECT_NOT_FOUND");
    const { displayName, settings } = project;
    project.displayName = change.displayName || displayName;
    project.settings = changedSettings(settings, change.settings, tokenTtlMs);
    const changed = changedFields({ displayName, settings }, project);
    if (changed.length === 0) return projectRecord(project, tokenTtlMs);
    const now = new Date(clock.now());
    project.updateTime = now;
    await em.flush();
    const data = { changed_fields: changed };
    await appendEvent(em, { projectId, id: newId(), type: "project.updated", data, act, createTime: now });
    await appendAudit(em, act, { projectId, target: `project/${projectId}`, details: { changed }, createTime: now });
    const record = projectRecord(project, tokenTtlMs);
    const algorithm = record.settings.signingAlgorithm;
    if (algorithm !== settingsInForce(settings, tokenTtlMs).signingAlgorithm)
      await signingKeys.use(em, scope, algorithm);
    return record;
  });
}

type Changeable = Pick<ProjectEntity, "displayName" | "settings">;

/** What is another than it was, by the names it has on the wire; a setting also where what is in force is the same. */
function changedFields(before: Changeable, after: Changeable): string[] {
  const names = Object.keys({ ...before.settings, ...after.settings }) as SettingName[];
  const changed = names.filter((name) => !isDeepStrictEqual(before.settings[name], after.settings[name]));
  const fields = changed.map((name) => `settings.${wireNameOf(name)}`).toSorted();
  return before.displayName === after.displayName ? fields : ["display_name", ...fields];
}
