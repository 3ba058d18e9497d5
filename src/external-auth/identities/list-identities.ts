import type { Database } from "../../db/orm.ts";
import { query } from "../../db/statement.ts";
import { type ProjectScope, requireUser, type UserKey } from "../../users/users.ts";
import type { Identity } from "./identity.entity.ts";
import { LIST_IDENTITIES } from "./identity-statements.ts";

/** What a user is linked to, the first one linked first. USER_NOT_FOUND, USER_DELETED. */
export async function listIdentities(
  { db }: { readonly db: Database },
  scope: ProjectScope,
  key: UserKey,
): Promise<Omit<Identity, "projectId">[]> {
  const { id } = await requireUser(db, scope, key);
  return query<Identity & Record<string, unknown>>(db.pool, LIST_IDENTITIES, [scope.projectId, id], scope.signal);
}
