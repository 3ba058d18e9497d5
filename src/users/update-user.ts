import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { type WriteScope, write } from "../db/recorded.ts";
import { MusterError } from "../errors.ts";
import type { NewId } from "../ids.ts";
import type { AttributeDefinitions } from "./attribute-definitions.ts";
import { settleAttributes } from "./attributes-change.ts";
import { notFound } from "./find-user.ts";
import { requireLogin } from "./login.ts";
import { fieldNamesOf, maskOf, PROFILE_COLUMNS, type ProfileChange } from "./profile.ts";
import { UPDATE_USER } from "./update-statement.ts";
import { KEYS, type UserKey } from "./user-key.ts";
import type { UserRow } from "./user-statements.ts";

type Updated = UserRow & { readonly outcome: "changed" | "unchanged" | "behind" };

/** What another call changed in the same moment is seen by the next try. */
const TRIES = 5;

export interface UpdateUserPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly attributes: AttributeDefinitions;
}

/**
 * Changes a user that is there, with `user.updated`, in one statement; `version`, if given, must be the one it has.
 * USER_NOT_FOUND, USER_DELETED, ETAG_MISMATCH, LOGIN_TAKEN, LOCATOR_TAKEN, CONFLICT; REQUEST_INVALID for a login, and it or
 * PRINCIPAL_NOT_ALLOWED for attributes.
 */
export async function updateUser(
  { db, clock, newId, attributes }: UpdateUserPorts,
  scope: WriteScope,
  key: UserKey,
  asked: ProfileChange,
  version?: number,
): Promise<UserRow> {
  await requireLogin(db, scope, asked);
  const change = await settleAttributes(attributes, scope.projectId, asked);
  const values = [
    scope.projectId,
    maskOf(change.fields),
    new Date(clock.now()),
    KEYS[key.by].comparable(key.value),
    version ?? null,
    ...PROFILE_COLUMNS.map((column) => column.value(change.values)),
    change.removedAttributes ?? [],
    JSON.stringify({ changed: fieldNamesOf(change.fields) }),
    newId(),
  ];
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const [row] = await write<Updated>(db, scope, UPDATE_USER[key.by], values, ([its]) => its?.outcome === "changed");
    if (!row) return notFound(db, scope, key);
    const { outcome, ...user } = row;
    if (outcome === "changed") return user;
    if (version !== undefined && version !== user.version) throw new MusterError("ETAG_MISMATCH");
    if (outcome === "unchanged") return user;
  }
  throw new MusterError("CONFLICT");
}
