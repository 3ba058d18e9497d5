import type { SqlEntityManager } from "@mikro-orm/postgresql";
import { MusterError } from "../errors.ts";

/**
 * Lets one transaction at a time change what a project's signing keys and settings are; those that only add to the project go on.
 * A moment read after it is later than what the one before read. PROJECT_NOT_FOUND.
 */
export async function lockProject(em: SqlEntityManager, projectId: string): Promise<void> {
  const found = await em.execute("select 1 from projects where id = ? for no key update", [projectId]);
  if (found.length === 0) throw new MusterError("PROJECT_NOT_FOUND");
}
