import { LockMode } from "@mikro-orm/core";
import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { transaction } from "../db/transaction.ts";
import { notFound, type ProjectScope, requireUser } from "./find-user.ts";
import type { HeldLocator, LocatorType } from "./locator.ts";
import { type User, UserEntity } from "./user.entity.ts";
import type { UserKey } from "./user-key.ts";
import type { UserRow } from "./user-statements.ts";

export interface LocatorPorts {
  readonly db: Database;
  readonly clock: Clock;
}

/**
 * Changes what a user holds, under the lock of its row. `change` gives what it holds from then on; undefined: nothing changes. The
 * database sees to who holds an address: LOCATOR_TAKEN, and REQUEST_INVALID for more than 20. USER_NOT_FOUND, USER_DELETED.
 */
export async function changeLocators(
  { db, clock }: LocatorPorts,
  scope: ProjectScope,
  key: UserKey,
  change: (held: readonly HeldLocator[]) => readonly HeldLocator[] | undefined,
): Promise<UserRow> {
  const { id } = await requireUser(db, scope, key);
  const changed = await transaction(db, scope, async (em) => {
    const user = await em.findOne(
      UserEntity,
      { projectId: scope.projectId, id },
      { lockMode: LockMode.PESSIMISTIC_WRITE },
    );
    const held = user && change(user.locators);
    if (held) hold(user, held, new Date(clock.now()));
    return user;
  });
  return changed ?? notFound(db, scope, { by: "id", value: id });
}

/** The profile's email and phone are those of the primary locators. */
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
