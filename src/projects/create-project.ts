import type { SqlEntityManager } from "@mikro-orm/postgresql";
import { appendAudit } from "../audit/append-audit.ts";
import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import type { WriteScope } from "../db/recorded.ts";
import { transaction } from "../db/transaction.ts";
import type { NewId } from "../ids.ts";
import { ProjectEntity, type SigningAlgorithm } from "./project.entity.ts";
import { type ProjectRecord, projectRecord } from "./project-directory.ts";
import { changedSettings, type SettingsChange } from "./project-settings.ts";

/** What projects need of the tokens feature, which makes their keys. */
export interface SigningKeys {
  /**
   * Makes `algorithm` what the project's new tokens are signed with, in the transaction of `em` that made or locked the project. Where there
   * are keys already it takes effect once the new one was published long enough. SIGNING_KEYS_FULL.
   */
  use(em: SqlEntityManager, scope: Pick<WriteScope, "projectId" | "act">, algorithm: SigningAlgorithm): Promise<void>;
}

export interface ProjectPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly signingKeys: SigningKeys;
  /** The instance's default life of a token, in milliseconds. */
  readonly tokenTtlMs: number;
}

/** Makes a project with a signing key of its own. REQUEST_INVALID for settings that contradict each other. */
export async function createProject(
  ports: ProjectPorts,
  { signal, act }: Omit<WriteScope, "projectId">,
  displayName: string,
  settings: SettingsChange,
): Promise<ProjectRecord> {
  const now = new Date(ports.clock.now());
  const id = ports.newId();
  const stored = changedSettings({}, settings, ports.tokenTtlMs);
  const scope: WriteScope = { projectId: id, signal, act };
  return transaction(ports.db, scope, async (em) => {
    const project = em.create(ProjectEntity, { id, displayName, settings: stored, createTime: now, updateTime: now });
    await em.persist(project).flush();
    await appendAudit(em, act, { projectId: id, target: `project/${id}`, details: { created: true }, createTime: now });
    const record = projectRecord(project, ports.tokenTtlMs);
    await ports.signingKeys.use(em, scope, record.settings.signingAlgorithm);
    return record;
  });
}
