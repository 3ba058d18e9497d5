import type { SqlEntityManager } from "@mikro-orm/postgresql";
import type { Act } from "../../db/act.ts";
import type { NewId } from "../../ids.ts";
import { KEYS, type LockedUser } from "../../users/users.ts";
import { IdentityEntity } from "./identity.entity.ts";
import { tellUnlinked } from "./link-event.ts";

/**
 * Takes from a user whose row the caller has locked the identities that do not stand for an email, as it is compared: whose providers named
 * another one, or did not verify it. For a user that proves an email which the user did not have verified: who linked them may be somebody
 * else, that waited for the owner of the email to come (the trojan identifier of https://arxiv.org/abs/2205.10174).
 */
export const createDisown =
  (newId: NewId) =>
  async (em: SqlEntityManager, act: Act, user: LockedUser, emailKey: string, now: Date): Promise<void> => {
    const held = await em.find(IdentityEntity, { projectId: user.projectId, userId: user.id });
    for (const identity of held) {
      const { email, emailVerified } = identity;
      if (email && emailVerified && KEYS.email.comparable(email) === emailKey) continue;
      em.remove(identity);
      await tellUnlinked(em, { act, user, identity, newId, now });
    }
  };
