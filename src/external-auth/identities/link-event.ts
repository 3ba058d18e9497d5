import type { SqlEntityManager } from "@mikro-orm/postgresql";
import type { Act } from "../../db/act.ts";
import { appendEvent, type NewEvent } from "../../events/append-event.ts";
import type { NewId } from "../../ids.ts";
import type { LockedUser } from "../../users/users.ts";
import type { Identity } from "./identity.entity.ts";

/** What came to a user, or went. */
export interface LinkChange {
  readonly user: LockedUser;
  readonly identity: Pick<Identity, "providerId" | "subject">;
  readonly newId: NewId;
  readonly now: Date;
  readonly act?: Act;
}

/** Appends `identity.linked` in the transaction of `em`. */
export const tellLinked = (em: SqlEntityManager, change: LinkChange): Promise<void> =>
  appendEvent(em, { ...aboutLink(change), type: "identity.linked" });

/** Appends `identity.unlinked` in the transaction of `em`. */
export const tellUnlinked = (em: SqlEntityManager, change: LinkChange): Promise<void> =>
  appendEvent(em, { ...aboutLink(change), type: "identity.unlinked" });

const aboutLink = ({ user, identity, newId, now, act }: LinkChange): Omit<NewEvent, "type"> => ({
  projectId: user.projectId,
  id: newId(),
  userId: user.id,
  data: {
    user_id: user.id,
    external_id: user.externalId,
    provider: identity.providerId,
    subject: identity.subject,
  },
  ...(act && { act }),
  createTime: now,
});
