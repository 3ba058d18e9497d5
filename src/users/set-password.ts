import { appendAudit } from "../audit/append-audit.ts";
import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import type { WriteScope } from "../db/recorded.ts";
import type { ProjectDirectory } from "../projects/projects.ts";
import { type AnnounceEnd, beforeTimeAt, endAccess, forgetAfter } from "../revocations/revocations.ts";
import { requireUser } from "./find-user.ts";
import { withLockedUser } from "./held-locators.ts";
import { keepPassword } from "./passwords/keep-password.ts";
import type { Passwords } from "./passwords/passwords.ts";
import type { UserKey } from "./user-key.ts";
import type { UserRow } from "./user-statements.ts";

export interface SetPasswordPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly projects: ProjectDirectory;
  readonly passwords: Passwords;
  readonly announceEnd: AnnounceEnd;
}

/**
 * Gives a user a password. Where it takes the place of another one, all that the user is signed in by ends.
 * USER_NOT_FOUND, USER_DELETED, PASSWORD_WEAK, RATE_LIMITED.
 */
export async function setPassword(
  { db, clock, projects, passwords, announceEnd }: SetPasswordPorts,
  scope: WriteScope,
  key: UserKey,
  password: string,
): Promise<UserRow> {
  const { projectId, signal, act } = scope;
  const { settings } = await projects.get(projectId);
  const { id: userId } = await requireUser(db, scope, key);
  const phc = await passwords.hash(password, signal);
  const { user, ended } = await withLockedUser(db, scope, { by: "id", value: userId }, async (em, held) => {
    // Read under the lock: what was issued before is then older than this.
    const time = new Date(clock.now());
    held.updateTime = time;
    held.version += 1;
    await appendAudit(em, act, { projectId, userId, details: { changed: ["password"] }, createTime: time });
    const before = await keepPassword(em, { projectId, userId, phc, time });
    if (before === undefined) return { user: held, ended: false };
    const beforeTime = beforeTimeAt(time.getTime());
    await endAccess(em, {
      projectId,
      subject: { userId, beforeTime },
      cause: "PASSWORD_CHANGED",
      forgetAfterTime: forgetAfter(beforeTime.getTime() + settings.tokenTtlMaxMs),
      createTime: time,
    });
    return { user: held, ended: true };
  });
  if (ended) announceEnd();
  return user;
}
