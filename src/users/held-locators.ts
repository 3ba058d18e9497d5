import { LockMode } from "@mikro-orm/core";
import type { SqlEntityManager } from "@mikro-orm/postgresql";
import { appendAudit } from "../audit/append-audit.ts";
import type { Clock } from "../clock.ts";
import type { Act } from "../db/act.ts";
import type { Database } from "../db/orm.ts";
import type { WriteScope } from "../db/recorded.ts";
import { transaction } from "../db/transaction.ts";
import { MusterError } from "../errors.ts";
import type { NewId } from "../ids.ts";
import { notFound, requireUser } from "./find-user.ts";
import { type HeldLocator, isSameLocator, type LocatorKey, type LocatorType } from "./locator.ts";
import { type User, UserEntity } from "./user.entity.ts";
import { tellUpdated } from "./user-events.ts";
import type { UserKey } from "./user-key.ts";
import type { UserRow } from "./user-statements.ts";

export interface LocatorPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly newId: NewId;
}

/** Does work under the lock of a user's row, in one transaction. USER_NOT_FOUND, USER_DELETED. */
export async function withLockedUser<T>(
  db: Database,
  scope: WriteScope,
  key: UserKey,
  work: (em: SqlEntityManager, user: User) => Promise<T> | T,
): Promise<T> {
  const { id } = await requireUser(db, scope, key);
  const done = await transaction(db, scope, async (em) => {
    const where = { projectId: scope.projectId, id };
    const user = await em.findOne(UserEntity, where, { lockMode: LockMode.PESSIMISTIC_WRITE });
    return user && { answer: await work(em, user) };
  });
  return done ? done.answer : notFound(db, scope, { by: "id", value: id });
}

/**
 * Changes what a user holds. `change` gives what it holds from then on; undefined: nothing changes. The database sees to who holds an
 * address: LOCATOR_TAKEN, and REQUEST_INVALID for more than 20. USER_NOT_FOUND, USER_DELETED.
 */
export function changeLocators(
  ports: LocatorPorts,
  scope: WriteScope,
  key: UserKey,
  change: (held: readonly HeldLocator[]) => readonly HeldLocator[] | undefined,
): Promise<UserRow> {
  return withLockedUser(ports.db, scope, key, async (em, user) => {
    const held = change(user.locators);
    if (held) await changeHeld(ports, em, scope.act, user, held);
    return user;
  });
}

/** Changes what a user holds, with `user.updated`. */
export async function changeHeld(
  { clock, newId }: Pick<LocatorPorts, "clock" | "newId">,
  em: SqlEntityManager,
  act: Act,
  user: User,
  locators: readonly HeldLocator[],
): Promise<void> {
  const now = new Date(clock.now());
  hold(user, locators, now);
  const { projectId, id: userId } = user;
  await appendAudit(em, act, { projectId, userId, details: { changed: ["locators"] }, createTime: now });
  await tellUpdated(em, act, { projectId, userId, eventId: newId(), now });
}

/** What a user holds, with the profile's email and phone, which are those of the primary locators. */
function hold(user: User, locators: readonly HeldLocator[], now: Date): void {
  const primary = (type: LocatorType) => locators.find((held) => held.type === type && held.primary);
  const email = primary("email");
  const phone = primary("phone");
  user.locators = locators;
  user.email = email?.value ?? null;
  user.emailKey = email?.key ?? null;
  user.emailVerified = email?.verified ?? false;
  user.phone = phone?.value ?? null;
  user.phoneVerified = phone?.verified ?? false;
  user.updateTime = now;
  user.version += 1;
}

/**
 * Makes the email of a user verified by which somebody proves to be that user, and says whether it was not before. Undefined if that proves
 * nothing: the user does not hold it, or holds it unverified beside one that is verified, and so belongs to whoever reads that one.
 */
export function markVerified(user: User, emailKey: string, now: Date): { readonly isNews: boolean } | undefined {
  const emails = user.locators.filter(({ type }) => type === "email");
  const email = emails.find(({ key }) => key === emailKey);
  if (!email || (!email.verified && emails.some(({ verified }) => verified))) return undefined;
  const verified = { ...email, verified: true };
  hold(
    user,
    user.locators.map((it) => (it === email ? verified : it)),
    now,
  );
  return { isNews: !email.verified };
}

/** The address among those a user holds. LOCATOR_NOT_FOUND. */
export function requireHeld(held: readonly HeldLocator[], locator: LocatorKey): HeldLocator {
  const found = held.find((it) => isSameLocator(it, locator));
  if (!found) throw new MusterError("LOCATOR_NOT_FOUND");
  return found;
}
