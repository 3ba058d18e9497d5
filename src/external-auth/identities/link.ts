import type { SqlEntityManager } from "@mikro-orm/postgresql";
import type { Act } from "../../db/act.ts";
import { MusterError } from "../../errors.ts";
import type { NewId } from "../../ids.ts";
import { type LockedUser, tellUpdated } from "../../users/users.ts";
import { type Identity, IdentityEntity } from "./identity.entity.ts";
import { tellLinked } from "./link-event.ts";
import type { ProvenIdentity } from "./proven-identity.ts";

/** The most identities that a user has. */
export const MOST_IDENTITIES = 20;

/** What a link is made by, and when. */
export interface NewLink {
  readonly act: Act;
  readonly newId: NewId;
  readonly now: Date;
  /** Null: it was not signed in by. */
  readonly lastSignInTime: Date | null;
}

/**
 * Links an identity to a user whose row the caller has locked, with `identity.linked`. One that is linked to it stays as it is. A guest is none
 * any more: it has a way to come back by. IDENTITY_TAKEN, IDENTITIES_FULL, PROVIDER_NOT_FOUND.
 */
export async function link(
  em: SqlEntityManager,
  user: LockedUser,
  proven: ProvenIdentity,
  { act, newId, now, lastSignInTime }: NewLink,
): Promise<Identity> {
  const { providerId, subject } = proven;
  const { projectId, id: userId } = user;
  const held = await em.find(IdentityEntity, { projectId, userId });
  const same = held.find((it) => it.providerId === providerId && it.subject === subject);
  if (same) return same;
  if (held.length >= MOST_IDENTITIES) throw new MusterError("IDENTITIES_FULL");
  const identity = em.create(IdentityEntity, { projectId, userId, ...proven, createTime: now, lastSignInTime });
  await em.persist(identity).flush();
  const changed = user.guest ? { changed: ["guest"] } : {};
  await tellLinked(em, { act, user, identity, newId, now, ...changed });
  if (user.guest) {
    user.guest = false;
    user.updateTime = now;
    user.version += 1;
    await tellUpdated(em, act, { projectId, userId, eventId: newId(), now });
  }
  return identity;
}
