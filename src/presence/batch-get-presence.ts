import type { ProjectScope, UserKey } from "../users/users.ts";
import { keyOf, MAX_BATCH, type Subject } from "./engine.ts";
import type { GetPresenceDeps } from "./get-presence.ts";
import { subjectsOf } from "./subjects.ts";
import { type UserPresence, userPresenceAt } from "./user-presence.ts";

export interface BatchGetPresenceOutput {
  /** Each user found once, in the order they were first asked for. */
  readonly presences: readonly UserPresence[];
  /** Places in `keys` that found nobody. */
  readonly missing: readonly number[];
}

/** Gives what is in force now for each of the users, at most 1,000. */
export async function batchGetPresence(
  deps: GetPresenceDeps,
  scope: ProjectScope,
  keys: readonly UserKey[],
): Promise<BatchGetPresenceOutput> {
  const { settings } = await deps.projects.get(scope.projectId);
  const subjects = await subjectsOf(deps.db, scope, keys);
  const wanted = [...new Map(subjects.flatMap((subject) => (subject ? [[keyOf(subject), subject]] : []))).values()];
  const found = new Map<string, UserPresence>();
  for (let start = 0; start < wanted.length; start += MAX_BATCH) {
    const batch = wanted.slice(start, start + MAX_BATCH);
    const { now, users } = await deps.engine.get(batch, scope.signal);
    for (const [index, subject] of batch.entries()) {
      const known = users[index];
      if (known) found.set(keyOf(subject), userPresenceAt(subject.userId, known, now, settings.defaultPresence));
    }
  }
  const isMissing = (subject: Subject | undefined) => !subject || !found.has(keyOf(subject));
  return {
    presences: [...found.values()],
    missing: subjects.flatMap((subject, index) => (isMissing(subject) ? [index] : [])),
  };
}
