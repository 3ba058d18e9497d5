import type { Database } from "../db/orm.ts";
import { MusterError } from "../errors.ts";
import { type ProjectScope, requireUser, type UserKey } from "../users/users.ts";
import type { BatchWriter, SetResult } from "./batch-writer.ts";
import { type Chain, createChain, type Step } from "./chain.ts";
import type { Subject } from "./engine.ts";
import { type ProjectDefaults, subjectOf } from "./subjects.ts";
import { type UserPresence, userPresenceAt } from "./user-presence.ts";

export interface SetPresenceDeps {
  readonly db: Database;
  readonly writer: BatchWriter;
  readonly projects: ProjectDefaults;
}

/**
 * Sets a user's presence, and gives what is then in force, once it is stored. By id this takes no look at the user: the
 * statement that stores it says whether the user exists.
 * @throws REQUEST_INVALID, USER_NOT_FOUND, USER_DELETED
 */
export async function setPresence(
  deps: SetPresenceDeps,
  scope: ProjectScope,
  input: { readonly key: UserKey; readonly steps: readonly Step[] },
): Promise<UserPresence> {
  const chain = createChain(input.steps, "presence");
  const { settings } = await deps.projects.get(scope.projectId);
  const subject = await subjectOf(deps.db, scope, input.key);
  const { now, ...known } = await store(deps, scope, subject, chain);
  return userPresenceAt(subject.userId, known, now, settings.defaultPresence);
}

async function store(deps: SetPresenceDeps, scope: ProjectScope, subject: Subject, chain: Chain): Promise<SetResult> {
  try {
    return await deps.writer.set({ subject, chain });
  } catch (error) {
    // Says whether there ever was such a user.
    if (error instanceof MusterError && error.reason === "USER_NOT_FOUND")
      await requireUser(deps.db, scope, { by: "id", value: subject.userId });
    throw error;
  }
}
