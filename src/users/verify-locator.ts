import { LockMode } from "@mikro-orm/core";
import type { SqlEntityManager } from "@mikro-orm/postgresql";
import type { WriteScope } from "../db/recorded.ts";
import { MusterError } from "../errors.ts";
import type { Sealer } from "../sealing.ts";
import { changeHeld, type LocatorPorts, requireHeld, withLockedUser } from "./held-locators.ts";
import type { LocatorKey } from "./locator.ts";
import { LocatorCodeEntity } from "./locator-code.entity.ts";
import { type CodeSubject, isCode, MOST_TRIES } from "./locator-code.ts";
import type { UserKey } from "./user-key.ts";
import type { UserRow } from "./user-statements.ts";

/**
 * Makes an address of a user verified by the code that was sent to it, which is then used up. A code that is wrong counts although the
 * call fails. USER_NOT_FOUND, USER_DELETED, LOCATOR_NOT_FOUND, VERIFICATION_CODE_INVALID.
 */
export async function verifyLocator(
  ports: LocatorPorts & { readonly sealer: Sealer },
  scope: WriteScope,
  key: UserKey,
  locator: LocatorKey,
  code: string,
): Promise<UserRow> {
  const { db, clock, sealer } = ports;
  const { projectId } = scope;
  const verified = await withLockedUser(db, scope, key, async (em, user) => {
    const now = new Date(clock.now());
    const address = requireHeld(user.locators, locator);
    if (!(await useCode(sealer, em, { ...address, projectId, userId: user.id }, code, now))) return undefined;
    const held = user.locators.map((it) => (it === address ? { ...it, verified: true } : it));
    await changeHeld(ports, em, scope.act, user, held);
    return user;
  });
  if (!verified) throw new MusterError("VERIFICATION_CODE_INVALID");
  return verified;
}

/** Whether the code is right, which it then is no more; one try less if it is not. */
async function useCode(
  sealer: Sealer,
  em: SqlEntityManager,
  subject: CodeSubject,
  code: string,
  now: Date,
): Promise<boolean> {
  const { projectId, type, key, userId } = subject;
  const row = await em.findOne(LocatorCodeEntity, { projectId, type, key }, { lockMode: LockMode.PESSIMISTIC_WRITE });
  const isOpen = row?.userId === userId && row.expireTime > now && row.tries < MOST_TRIES;
  if (!row?.sealedDigest || !isOpen) return false;
  row.tries += 1;
  if (!isCode(sealer, subject, row.sealedDigest, code)) return false;
  row.sealedDigest = null;
  return true;
}
