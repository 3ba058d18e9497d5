import type { SqlEntityManager } from "@mikro-orm/postgresql";
import type { WriteScope } from "../../db/recorded.ts";
import { MusterError, type Reason } from "../../errors.ts";
import { blockedSql, type LockedUser, withLockedUser } from "../../users/users.ts";
import { holdsVerifiedSql } from "./identity-statements.ts";
import { link } from "./link.ts";
import type { IdentityPorts } from "./link-identity.ts";
import type { ProvenIdentity } from "./proven-identity.ts";

/**
 * Links an identity that nobody has to the user that holds its email, if under the lock of its row that is still so; false: not any more, or
 * somebody has the identity by now. USER_SUSPENDED, IDENTITIES_FULL, PROVIDER_NOT_FOUND.
 */
export async function linkByEmail(
  { db, clock, newId }: IdentityPorts,
  scope: WriteScope,
  holderId: string,
  identity: ProvenIdentity,
  emailKey: string,
): Promise<boolean> {
  try {
    return await withLockedUser(db, scope, { by: "id", value: holderId }, async (em, user) => {
      const now = new Date(clock.now());
      const { blocked, holds } = await standing(em, user, emailKey, now);
      if (!holds) return false;
      if (blocked) throw new MusterError("USER_SUSPENDED");
      await link(em, user, identity, { act: scope.act, newId, now, lastSignInTime: now });
      return true;
    });
  } catch (error) {
    if (error instanceof MusterError && OVERTAKEN.includes(error.reason)) return false;
    throw error;
  }
}

const OVERTAKEN: readonly Reason[] = ["IDENTITY_TAKEN", "USER_DELETED", "USER_NOT_FOUND"];

/** Whether a locked user may be signed in, and holds the email as its own. */
async function standing(em: SqlEntityManager, { projectId, id }: LockedUser, emailKey: string, now: Date) {
  const [row]: { blocked: boolean; holds: boolean }[] = await em.execute(
    `select ${blockedSql("u", "asked.now")} as blocked, ${holdsVerifiedSql("u", "asked.email_key")} as holds
     from users u, (select ?::timestamptz as now, ?::text as email_key) asked where u.project_id = ? and u.id = ?`,
    [now, emailKey, projectId, id],
  );
  return { blocked: row?.blocked === true, holds: row?.holds === true };
}
