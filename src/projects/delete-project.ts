import type { Database } from "../db/orm.ts";
import { type Scope, transaction } from "../db/transaction.ts";
import { MusterError } from "../errors.ts";
import { ProjectEntity } from "./project.entity.ts";

/** Deletes a project and, by its foreign keys, all that is in it, in one transaction. PROJECT_NOT_FOUND. */
export async function deleteProject(db: Database, { projectId, signal }: Required<Scope>): Promise<void> {
  const scope: Scope = { projectId, signal };
  await transaction(db, scope, async (em) => {
    const deleted = await em.nativeDelete(ProjectEntity, { id: projectId as string });
    if (deleted === 0) throw new MusterError("PROJECT_NOT_FOUND");
    // Events carry no foreign key: each would lock its project's row.
    await em.execute("delete from events where project_id = ?", [projectId]);
  });
}
