import { query } from "../db/statement.ts";
import { MusterError } from "../errors.ts";
import { type ProjectScope, requireUser } from "./find-user.ts";
import type { SuspensionPorts } from "./suspend-user.ts";
import { LIFT_SUSPENSION } from "./suspension-statements.ts";
import type { UserKey } from "./user-key.ts";
import type { UserRow } from "./user-statements.ts";

/**
 * Takes a suspension back, with its `user.suspension_lifted`: one statement. Of any number of racing calls one succeeds.
 * What it ended does not come back.
 * USER_NOT_FOUND, USER_DELETED, SUSPENSION_NOT_FOUND.
 */
export async function liftSuspension(
  { db, clock, newId }: SuspensionPorts,
  scope: ProjectScope,
  key: UserKey,
  suspensionId: string,
): Promise<UserRow> {
  const { id } = await requireUser(db, scope, key);
  const values = [scope.projectId, new Date(clock.now()), id, newId(), suspensionId];
  const [user] = await query<UserRow>(db.pool, LIFT_SUSPENSION, values, scope.signal);
  if (!user) {
    await requireUser(db, scope, { by: "id", value: id });
    throw new MusterError("SUSPENSION_NOT_FOUND");
  }
  return user;
}
