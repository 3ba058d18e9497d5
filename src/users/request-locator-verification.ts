import { LockMode } from "@mikro-orm/core";
import type { SqlEntityManager } from "@mikro-orm/postgresql";
import { appendAudit } from "../audit/append-audit.ts";
import type { Act } from "../db/act.ts";
import type { WriteScope } from "../db/recorded.ts";
import { MusterError } from "../errors.ts";
import type { ProjectDirectory } from "../projects/projects.ts";
import type { Sealer } from "../sealing.ts";
import type { Senders } from "../senders/senders.ts";
import { mailboxOf } from "./email-address.ts";
import { type LocatorPorts, requireHeld, withLockedUser } from "./held-locators.ts";
import type { HeldLocator, LocatorKey } from "./locator.ts";
import { LocatorCodeEntity } from "./locator-code.entity.ts";
import { CODE_TTL_MS, newCode, sealCode } from "./locator-code.ts";
import type { UserKey } from "./user-key.ts";

export interface VerificationPorts extends LocatorPorts {
  readonly projects: ProjectDirectory;
  readonly sealer: Sealer;
  readonly senders: Senders;
}

const WINDOW_MS = 3_600_000;
/** Codes that one address is sent in a window, those that one user asks for, and the time between two to one address. */
const MOST_TO_ADDRESS = 5;
const MOST_OF_USER = 20;
const BETWEEN_MS = 30_000;

/**
 * Sends a code to an address of a user; one that is verified is sent none. It is sent once the code is kept, and counts whether it can
 * be sent or not. USER_NOT_FOUND, USER_DELETED, LOCATOR_NOT_FOUND, RATE_LIMITED, MAIL_UNAVAILABLE, SMS_UNAVAILABLE, SMS_NOT_CONFIGURED.
 */
export async function requestLocatorVerification(
  ports: VerificationPorts,
  scope: WriteScope,
  key: UserKey,
  locator: LocatorKey,
): Promise<void> {
  const { db, senders } = ports;
  const code = newCode();
  const held = await withLockedUser(db, scope, key, async (em, user) => {
    const address = requireHeld(user.locators, locator);
    if (address.type === "phone" && !senders.sms) throw new MusterError("SMS_NOT_CONFIGURED");
    if (!address.verified)
      await keepCode(ports, em, scope.act, { ...address, userId: user.id, projectId: scope.projectId }, code);
    return address;
  });
  if (!held.verified) await send(ports, scope.projectId, held, code);
}

type Subject = HeldLocator & { readonly userId: string; readonly projectId: string };

async function keepCode(
  { clock, sealer }: VerificationPorts,
  em: SqlEntityManager,
  act: Act,
  subject: Subject,
  code: string,
): Promise<void> {
  const now = clock.now();
  const { projectId, type, key, userId } = subject;
  const open = new Date(now - WINDOW_MS);
  // Of the user's own, what no longer bounds anything is let go.
  await em.nativeDelete(LocatorCodeEntity, {
    projectId,
    userId,
    windowStart: { $lte: open },
    expireTime: { $lte: new Date(now) },
  });
  const rows = await em.find(LocatorCodeEntity, { projectId, userId, windowStart: { $gt: open } });
  const ofUser = rows.reduce((sum, row) => sum + row.sends, 0);
  const oldest = Math.min(...rows.map((row) => row.windowStart.getTime()));
  if (ofUser >= MOST_OF_USER) refuse(oldest + WINDOW_MS - now);
  const last = await em.findOne(LocatorCodeEntity, { projectId, type, key }, { lockMode: LockMode.PESSIMISTIC_WRITE });
  const started = last && last.windowStart > open ? last : undefined;
  if (started && started.sends >= MOST_TO_ADDRESS) refuse(started.windowStart.getTime() + WINDOW_MS - now);
  if (last && last.sendTime.getTime() + BETWEEN_MS > now) refuse(last.sendTime.getTime() + BETWEEN_MS - now);
  const row = {
    ...{ projectId, type, key, userId, tries: 0 },
    sealedDigest: sealCode(sealer, subject, code),
    expireTime: new Date(now + CODE_TTL_MS),
    sends: (started?.sends ?? 0) + 1,
    windowStart: started?.windowStart ?? new Date(now),
    sendTime: new Date(now),
  };
  if (last) em.assign(last, row);
  else em.create(LocatorCodeEntity, row);
  await appendAudit(em, act, { projectId, userId, details: { type }, createTime: new Date(now) });
}

function refuse(retryAfterMs: number): never {
  throw new MusterError("RATE_LIMITED", { retryAfterMs: Math.max(1, retryAfterMs) });
}

async function send(
  { projects, senders }: VerificationPorts,
  projectId: string,
  { type, value }: HeldLocator,
  code: string,
): Promise<void> {
  const { displayName } = await projects.get(projectId);
  const subject = `${displayName}: your verification code`;
  const text = `Your verification code for ${displayName} is ${code}. It is good for 15 minutes.`;
  if (type === "phone") return senders.sms?.send({ projectId, to: value, text, code });
  const to = mailboxOf(value);
  // Addresses from before there were rules for them may be ones that no mail reaches.
  if (!to) throw new MusterError("MAIL_UNAVAILABLE");
  const ignore = "If you did not ask for it, you can ignore this mail.";
  return senders.mail.send({ to, subject, text: `${text}\n\n${ignore}\n` });
}
