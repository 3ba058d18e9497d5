import type { Clock } from "../../clock.ts";
import type { Database } from "../../db/orm.ts";
import type { WriteScope } from "../../db/recorded.ts";
import type { NewId } from "../../ids.ts";
import { requireUser, type UserKey, withLockedUser } from "../../users/users.ts";
import type { Presented, ProveUser } from "../verify-credential.ts";
import type { Identity } from "./identity.entity.ts";
import { link } from "./link.ts";
import { provenIdentity } from "./proven-identity.ts";

export interface IdentityPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly proveUser: ProveUser;
}

export interface LinkInput {
  readonly key: UserKey;
  readonly providerId: string;
  /** `.system` may say the subject. */
  readonly proof: Presented | { readonly subject: string };
}

/**
 * Links an identity to a user: by a credential, or by its subject, which also a provider may have that is disabled for now. A guest becomes a full
 * user. Linking again changes nothing. USER_NOT_FOUND, USER_DELETED, PROVIDER_NOT_FOUND, EXTERNAL_JWT_INVALID, PROVIDER_UNAVAILABLE,
 * IDENTITY_TAKEN, IDENTITIES_FULL.
 */
export async function linkIdentity(ports: IdentityPorts, scope: WriteScope, input: LinkInput): Promise<Identity> {
  const { db, clock, newId } = ports;
  const { providerId, proof } = input;
  // Before the provider is asked: a credential may be good for one time only.
  const { id } = await requireUser(db, scope, input.key);
  const proven = "subject" in proof ? { ...proof, userData: {} } : await ports.proveUser(scope, providerId, proof);
  const identity = provenIdentity(providerId, proven);
  return withLockedUser(db, scope, { by: "id", value: id }, (em, user) =>
    link(em, user, identity, { act: scope.act, newId, now: new Date(clock.now()), lastSignInTime: null }),
  );
}
