import { appendAudit } from "../audit/append-audit.ts";
import type { WriteScope } from "../db/recorded.ts";
import { transaction } from "../db/transaction.ts";
import { appendEvent } from "../events/append-event.ts";
import type { ProjectDirectory } from "../projects/projects.ts";
import { endUserAccess } from "../revocations/revocations.ts";
import { findUserIds, type UserKey } from "../users/users.ts";
import type { RevocationPorts } from "./revoke-token.ts";

/** Revokes all that a user is signed in by, stateless tokens and sessions included, by one date. Of an unknown user there is nothing. */
export async function revokeUserTokens(
  { db, clock, newId, projects, announceEnd }: RevocationPorts & { readonly projects: ProjectDirectory },
  scope: WriteScope,
  key: UserKey,
): Promise<void> {
  const { projectId, act } = scope;
  const [user] = await findUserIds(db, scope, [key]);
  if (!user) return;
  const { settings } = await projects.get(projectId);
  await transaction(db, scope, async (em) => {
    const lock = "select external_id from users where project_id = ? and id = ? for no key update";
    const [held]: { external_id: string }[] = await em.execute(lock, [projectId, user.id]);
    if (!held) return;
    // Read under the lock: who waits to extend a token finds it older than this.
    const now = clock.now();
    const end = { cause: "USER_TOKENS_REVOKED", now, longestLifeMs: settings.tokenTtlMaxMs } as const;
    const about = { projectId, userId: user.id };
    const beforeTime = await endUserAccess(em, about, end);
    const data = { user_id: user.id, external_id: held.external_id, before_time: beforeTime };
    const happened = { ...about, createTime: new Date(now) };
    await appendEvent(em, { ...happened, id: newId(), type: "token.revoked", data, act });
    await appendAudit(em, act, happened);
  });
  announceEnd();
}
