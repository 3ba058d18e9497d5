import type { Database } from "../db/orm.ts";
import { MusterError } from "../errors.ts";
import { type ProjectScope, requireUser, type UserKey } from "../users/users.ts";
import type { PresenceEngine } from "./engine.ts";
import { type ProjectDefaults, subjectOf } from "./subjects.ts";
import { type UserPresence, userPresenceAt } from "./user-presence.ts";

export interface GetPresenceDeps {
  readonly db: Database;
  readonly engine: PresenceEngine;
  readonly projects: ProjectDefaults;
}

/**
 * Gives what is in force for a user now.
 * @throws USER_NOT_FOUND, USER_DELETED
 */
export async function getPresence(deps: GetPresenceDeps, scope: ProjectScope, key: UserKey): Promise<UserPresence> {
  const { settings } = await deps.projects.get(scope.projectId);
  const subject = await subjectOf(deps.db, scope, key);
  const { now, users } = await deps.engine.get([subject], scope.signal);
  if (!users[0]) {
    // Says whether there ever was such a user.
    await requireUser(deps.db, scope, { by: "id", value: subject.userId });
    throw new MusterError("USER_NOT_FOUND");
  }
  return userPresenceAt(subject.userId, users[0], now, settings.defaultPresence);
}
