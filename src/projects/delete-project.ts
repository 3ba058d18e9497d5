import { appendAudit } from "../audit/append-audit.ts";
import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import type { WriteScope } from "../db/recorded.ts";
import { transaction } from "../db/transaction.ts";
import { MusterError } from "../errors.ts";
import { type AnnounceEnd, endAccess } from "../revocations/revocations.ts";
import { ProjectEntity } from "./project.entity.ts";

export interface ProjectDeletionPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly announceEnd: AnnounceEnd;
}

/** For how long it is told that a project is gone: every server hears of it within a second of seeing the database. */
const TOLD_MS = 86_400_000;

/** Deletes a project and, by its foreign keys, all that is in it, and ends all access to it, in one transaction. PROJECT_NOT_FOUND. */
export async function deleteProject(
  { db, clock, announceEnd }: ProjectDeletionPorts,
  scope: WriteScope,
): Promise<void> {
  const { projectId, act } = scope;
  const now = clock.now();
  await transaction(db, scope, async (em) => {
    const deleted = await em.nativeDelete(ProjectEntity, { id: projectId });
    if (deleted === 0) throw new MusterError("PROJECT_NOT_FOUND");
    // Events carry no foreign key: each would lock its project's row.
    await em.execute("delete from events where project_id = ?", [projectId]);
    await em.execute("delete from revocations where project_id = ?", [projectId]);
    await endAccess(em, {
      projectId,
      subject: { wholeProject: true },
      cause: "PROJECT_DELETED",
      forgetAfterTime: new Date(now + TOLD_MS),
      createTime: new Date(now),
    });
    const entry = { projectId, target: `project/${projectId}`, details: { deleted: true }, createTime: new Date(now) };
    await appendAudit(em, act, entry);
  });
  announceEnd();
}
