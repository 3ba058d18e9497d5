import { appendAudit } from "../audit/append-audit.ts";
import type { WriteScope } from "../db/recorded.ts";
import { MusterError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { Senders } from "../senders/senders.ts";
import { keepPassword, mailboxOf, type UserRow, withLockedUser } from "../users/users.ts";
import { addressPrefix } from "./attempts/address-prefix.ts";
import type { Background } from "./background.ts";
import type { Client } from "./create-grant.ts";
import { type EndPorts, endSessionsOf } from "./end-session.ts";
import { forgetResets } from "./reset-token.ts";
import type { SignInPorts } from "./sign-in-password.ts";

export interface PasswordChangePorts extends SignInPorts, EndPorts {
  readonly logger: Logger;
  readonly senders: Senders;
  readonly background: Background;
}

/** A user that changes its password. */
export interface PasswordChange {
  readonly userId: string;
  /** The session that it calls in, which goes on. */
  readonly sessionId: string | undefined;
  readonly oldPassword: string;
  readonly password: string;
  readonly client: Client;
}

/**
 * Gives a user another password by the one it has. Its other sessions end. CREDENTIALS_REJECTED, PASSWORD_WEAK, RATE_LIMITED; USER_DELETED for
 * one that is deleted meanwhile.
 */
export async function changePassword(
  ports: PasswordChangePorts,
  scope: WriteScope,
  { userId, sessionId, oldPassword, password, client }: PasswordChange,
): Promise<UserRow> {
  const { db, clock, newId, attempts, passwords } = ports;
  const { projectId, act } = scope;
  const prefix = addressPrefix(client.address);
  const attempt = await attempts.admit({ projectId, identifier: ["id", userId], prefix });
  const key = { by: "id", value: userId } as const;
  const proven = await passwords.verify(scope, key, oldPassword);
  if (!proven) {
    await attempt.failed();
    throw new MusterError("CREDENTIALS_REJECTED");
  }
  await attempt.succeeded();
  const phc = await passwords.hash(password, scope.signal);
  const { user, ended } = await withLockedUser(db, scope, key, async (em, held) => {
    const now = new Date(clock.now());
    held.updateTime = now;
    held.version += 1;
    const before = await keepPassword(em, { projectId, userId, phc, time: now });
    // Another call was first: what was checked is not the password any more.
    if (before !== proven.passwordId) throw new MusterError("CREDENTIALS_REJECTED");
    await forgetResets(em, projectId, userId);
    await appendAudit(em, act, { projectId, userId, details: { changed: ["password"] }, createTime: now });
    const ended = await endSessionsOf(em, { newId, act }, { projectId, userId, keptId: sessionId, now });
    return { user: held, ended };
  });
  if (ended > 0) ports.announceEnd();
  tellOfChange(ports, projectId, user.email);
  return user;
}

type NoticePorts = Pick<PasswordChangePorts, "logger" | "projects" | "senders" | "background">;

/** Tells the owner, in a mail that nothing waits for. Where too many wait there is none: the change has been made. */
export function tellOfChange(
  { logger, projects, senders, background }: NoticePorts,
  projectId: string,
  email: string | null | undefined,
) {
  const to = email ? mailboxOf(email) : undefined;
  if (!to) return;
  try {
    background.add(async () => {
      const { displayName } = await projects.get(projectId);
      const text = `Your password for ${displayName} was changed. If it was not you, reset it at once.\n`;
      await senders.mail.send({ to, subject: `${displayName}: your password was changed`, text });
    });
  } catch (error) {
    logger.warn({ err: error }, "a change of a password was not told");
  }
}
