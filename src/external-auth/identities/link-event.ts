import type { SqlEntityManager } from "@mikro-orm/postgresql";
import { appendAudit } from "../../audit/append-audit.ts";
import type { Act } from "../../db/act.ts";
import { appendEvent } from "../../events/append-event.ts";
import type { NewId } from "../../ids.ts";
import type { LockedUser } from "../../users/users.ts";
import type { Identity } from "./identity.entity.ts";

/** What came to a user, or went. */
export interface LinkChange {
  readonly user: LockedUser;
  readonly identity: Pick<Identity, "providerId" | "subject">;
  readonly act: Act;
  readonly newId: NewId;
  readonly now: Date;
  /** The fields of the user that changed with it. */
  readonly changed?: readonly string[];
}

/** Appends `identity.linked` and an audit entry in the transaction of `em`. */
export const tellLinked = (em: SqlEntityManager, change: LinkChange): Promise<void> =>
  tell(em, { ...change, type: "identity.linked", linked: true });

/** Appends `identity.unlinked` and an audit entry in the transaction of `em`. */
export const tellUnlinked = (em: SqlEntityManager, change: LinkChange): Promise<void> =>
  tell(em, { ...change, type: "identity.unlinked", linked: false });

async function tell(
  em: SqlEntityManager,
  { user, identity, act, newId, now, changed, type, linked }: LinkChange & { type: string; linked: boolean },
): Promise<void> {
  const { projectId, id: userId, externalId } = user;
  const { providerId, subject } = identity;
  const data = { user_id: userId, external_id: externalId, provider: providerId, subject };
  await appendEvent(em, { projectId, id: newId(), type, userId, data, act, createTime: now });
  // What the provider calls the user is the user's own, and no part of it.
  const target = `identity/${providerId}`;
  await appendAudit(em, act, { projectId, userId, target, details: { linked, changed }, createTime: now });
}
