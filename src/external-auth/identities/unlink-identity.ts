import type { SqlEntityManager } from "@mikro-orm/postgresql";
import type { Clock } from "../../clock.ts";
import type { Database } from "../../db/orm.ts";
import type { WriteScope } from "../../db/recorded.ts";
import { invalid, MusterError } from "../../errors.ts";
import type { NewId } from "../../ids.ts";
import { type LockedUser, type UserKey, withLockedUser } from "../../users/users.ts";
import { type Identity, IdentityEntity } from "./identity.entity.ts";
import { tellUnlinked } from "./link-event.ts";

export interface UnlinkPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly newId: NewId;
  /** Whether users of the project are proven by an external key. */
  hasExternalKey(projectId: string): Promise<boolean>;
}

export interface UnlinkInput {
  readonly key: UserKey;
  readonly providerId: string;
  /** Empty: the only one of the provider. */
  readonly subject: string;
}

/**
 * Takes an identity from a user, with `identity.unlinked`; one that the user does not have is taken already. Its sessions go on. The lock of its row has
 * any number of calls at once leave a way in. LAST_IDENTITY, USER_NOT_FOUND, USER_DELETED; REQUEST_INVALID where several are meant.
 */
export async function unlinkIdentity(ports: UnlinkPorts, scope: WriteScope, input: UnlinkInput): Promise<void> {
  const { db, clock, newId } = ports;
  const { providerId, subject } = input;
  const hasExternalKey = await ports.hasExternalKey(scope.projectId);
  await withLockedUser(db, scope, input.key, async (em, user) => {
    const { projectId, id: userId } = user;
    const held = await em.find(IdentityEntity, { projectId, userId, providerId, ...(subject !== "" && { subject }) });
    if (held.length > 1) throw invalid("subject", "must be given: the user has several identities of the provider");
    const [identity] = held;
    if (!identity) return;
    if (!(await hasOtherWayIn(em, user, identity, hasExternalKey))) throw new MusterError("LAST_IDENTITY");
    em.remove(identity);
    await tellUnlinked(em, { act: scope.act, user, identity, newId, now: new Date(clock.now()) });
  });
}

/** A disabled provider lets nobody in, and may never do again: its identities count for nothing. */
const OTHER_WAY_IN = `
  select exists (select from passwords where project_id = ? and user_id = ?) as password,
    exists (select from identities i join providers p on p.project_id = i.project_id and p.id = i.provider_id
      where i.project_id = ? and i.user_id = ? and not p.disabled and (i.provider_id, i.subject) <> (?, ?)) as identity`;

/**
 * Whether a user can sign in without an identity: by another one, by an id that the customer's own system proves, or by a password and what it is given
 * with, a login, an email or a phone.
 */
async function hasOtherWayIn(
  em: SqlEntityManager,
  { projectId, id, externalId, login, locators }: LockedUser,
  { providerId, subject }: Identity,
  hasExternalKey: boolean,
): Promise<boolean> {
  if (hasExternalKey && externalId !== id) return true;
  const values = [projectId, id, projectId, id, providerId, subject];
  const [other]: { password: boolean; identity: boolean }[] = await em.execute(OTHER_WAY_IN, values);
  const hasName = Boolean(login) || locators.length > 0;
  return other?.identity === true || (other?.password === true && hasName);
}
