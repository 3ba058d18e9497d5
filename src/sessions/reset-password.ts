import type { SqlEntityManager } from "@mikro-orm/postgresql";
import { appendAudit } from "../audit/append-audit.ts";
import type { WriteScope } from "../db/recorded.ts";
import { query, type Statement } from "../db/statement.ts";
import { MusterError } from "../errors.ts";
import { beforeTimeAt, endAccess, forgetAfter } from "../revocations/revocations.ts";
import { keepPassword, markVerified, tellUpdated, withLockedUser } from "../users/users.ts";
import { tellOfChange } from "./change-password.ts";
import type { ResetPorts } from "./request-password-reset.ts";
import { forgetResets, resetDigest } from "./reset-token.ts";

/** Whose the link is: $1 project, $2 digest, $3 time. */
const FIND_RESET: Statement = {
  name: "password_resets_find",
  text: `select user_id as "userId" from password_resets where project_id = $1 and token_digest = $2 and expire_time > $3`,
};

/**
 * Gives a user another password by the token of a link: of any number of calls with one token one does. All that the user is signed in by ends,
 * and its email is verified; if it
 * was not, identities go that do not stand for it. RESET_TOKEN_INVALID, PASSWORD_WEAK, RATE_LIMITED, PROJECT_NOT_FOUND.
 */
export async function resetPassword(
  ports: ResetPorts,
  scope: WriteScope,
  token: string,
  password: string,
): Promise<void> {
  const { db, clock, newId, projects, passwords } = ports;
  const { projectId, signal, act } = scope;
  const { settings } = await projects.get(projectId);
  const digest = resetDigest(token);
  if (!digest) throw new MusterError("RESET_TOKEN_INVALID");
  const values = [projectId, digest, new Date(clock.now())];
  const [reset] = await query<{ userId: string }>(db.pool, FIND_RESET, values, signal);
  if (!reset) throw new MusterError("RESET_TOKEN_INVALID");
  const { userId } = reset;
  const phc = await passwords.hash(password, signal);
  const user = await withLockedUser(db, scope, { by: "id", value: userId }, async (em, held) => {
    // Read under the lock: what was issued before is then older than this.
    const now = new Date(clock.now());
    const emailKey = await useToken(em, projectId, digest, now);
    // Whoever has the address now is somebody else, or the user was proven to be somebody else by another one.
    const verified = emailKey === undefined ? undefined : markVerified(held, emailKey, now);
    if (emailKey === undefined || !verified) throw new MusterError("RESET_TOKEN_INVALID");
    // Until now anybody may have used the user under an email of somebody else, and linked what would still let it in.
    if (verified.isNews) await ports.disownIdentities(em, act, held, emailKey, now);
    if (verified.isNews) await tellUpdated(em, act, { projectId, userId, eventId: newId(), now });
    const changed = ["password", ...(verified.isNews ? ["locators"] : [])];
    await appendAudit(em, act, { projectId, userId, details: { changed }, createTime: now });
    await keepPassword(em, { projectId, userId, phc, time: now });
    await forgetResets(em, projectId, userId);
    const beforeTime = beforeTimeAt(now.getTime());
    await endAccess(em, {
      projectId,
      subject: { userId, beforeTime },
      cause: "PASSWORD_CHANGED",
      forgetAfterTime: forgetAfter(beforeTime.getTime() + settings.tokenTtlMaxMs),
      createTime: now,
    });
    return held;
  });
  ports.announceEnd();
  tellOfChange(ports, projectId, user.email);
}

/** The email that the token was sent to, which is then used up; undefined: it is not good any more. */
async function useToken(
  em: SqlEntityManager,
  projectId: string,
  digest: Buffer,
  now: Date,
): Promise<string | undefined> {
  const used: { email_key: string }[] = await em.execute(
    "delete from password_resets where project_id = ? and token_digest = ? and expire_time > ? returning email_key",
    [projectId, digest, now],
  );
  return used[0]?.email_key;
}
