import { type WriteScope, write } from "../db/recorded.ts";
import { MusterError } from "../errors.ts";
import { requireUser } from "./find-user.ts";
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
  scope: WriteScope,
  key: UserKey,
  suspensionId: string,
): Promise<UserRow> {
  const { id } = await requireUser(db, scope, key);
  const values = [scope.projectId, new Date(clock.now()), id, newId(), suspensionId];
  const [user] = await write<UserRow>(db, scope, LIFT_SUSPENSION, values);
  if (!user) {
    await requireUser(db, scope, { by: "id", value: id });
    throw new MusterError("SUSPENSION_NOT_FOUND");
  }
  return user;
}
