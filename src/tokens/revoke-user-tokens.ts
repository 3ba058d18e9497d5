import { transaction } from "../db/transaction.ts";
import type { ProjectDirectory } from "../projects/projects.ts";
import { endUserAccess } from "../revocations/revocations.ts";
import { findUserIds, type ProjectScope, type UserKey } from "../users/users.ts";
import type { RevocationPorts } from "./revoke-token.ts";

/** Revokes all that a user is signed in by, stateless tokens and sessions included, by one date. Of an unknown user there is nothing. */
export async function revokeUserTokens(
  { db, clock, projects, announceEnd }: RevocationPorts & { readonly projects: ProjectDirectory },
  scope: ProjectScope,
  key: UserKey,
): Promise<void> {
  const { projectId } = scope;
  const [user] = await findUserIds(db, scope, [key]);
  if (!user) return;
  const { settings } = await projects.get(projectId);
  await transaction(db, scope, async (em) => {
    const lock = "select id from users where project_id = ? and id = ? for no key update";
    const held: unknown[] = await em.execute(lock, [projectId, user.id]);
    if (held.length === 0) return;
    // Read under the lock: who waits to extend a token finds it older than this.
    const end = { cause: "USER_TOKENS_REVOKED", now: clock.now(), longestLifeMs: settings.tokenTtlMaxMs } as const;
    await endUserAccess(em, { projectId, userId: user.id }, end);
  });
  announceEnd();
}
