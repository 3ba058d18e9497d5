import type { Database } from "../../src/db/orm.ts";

/** An audit entry as it is kept. */
export interface KeptEntry {
  readonly method: string;
  readonly actorKind: string;
  readonly actorId: string | null;
  readonly address: string | null;
  readonly requestId: string | null;
  readonly origin: string | null;
  readonly userId: string | null;
  readonly target: string | null;
  readonly details: object | null;
}

/** The audit entries of a project, in the order in which they were written. */
export async function auditEntries(db: Pick<Database, "pool">, projectId: string): Promise<KeptEntry[]> {
  const { rows } = await db.pool.query<KeptEntry>(
    `select method, actor_kind as "actorKind", actor_id as "actorId", address, request_id as "requestId", origin,
       user_id as "userId", target, details
     from audit_entries where project_id = $1 order by transaction_id, sequence`,
    [projectId],
  );
  return rows;
}

/** What was done by each call that changed something: its method, whom and what it changed, and how. */
export const changesIn = async (db: Pick<Database, "pool">, projectId: string) =>
  (await auditEntries(db, projectId)).map(({ method, userId, target, details }) => ({
    method,
    ...(userId && { userId }),
    ...(target && { target }),
    ...(details && { details }),
  }));
