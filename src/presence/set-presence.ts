import type { Database } from "../db/orm.ts";
import { MusterError } from "../errors.ts";
import { type ProjectScope, requireUser, type UserKey } from "../users/users.ts";
import type { BatchWriter, SetResult } from "./batch-writer.ts";
import { type Chain, createChain, type Step } from "./chain.ts";
import type { Subject } from "./engine.ts";
import { type ProjectDefaults, subjectOf, subjectsOf } from "./subjects.ts";
import { type UserPresence, userPresenceAt } from "./user-presence.ts";

export interface SetPresenceDeps {
  readonly db: Database;
  readonly writer: BatchWriter;
  readonly projects: ProjectDefaults;
}

/** What is to be set, and for whom. */
export interface SetPresenceInput {
  readonly key: UserKey;
  readonly steps: readonly Step[];
}

/**
 * Sets a user's presence, and gives what is then in force, once it is stored. By id this takes no look at the user: the
 * statement that stores it says whether the user exists.
 * @throws REQUEST_INVALID, USER_NOT_FOUND, USER_DELETED
 */
export async function setPresence(
  deps: SetPresenceDeps,
  scope: ProjectScope,
  input: SetPresenceInput,
): Promise<UserPresence> {
  const chain = createChain(input.steps, "presence");
  const { settings } = await deps.projects.get(scope.projectId);
  const subject = await subjectOf(deps.db, scope, input.key);
  const { now, ...known } = await store(deps, scope, subject, chain);
  return userPresenceAt(subject.userId, known, now, settings.defaultPresence);
}

/**
 * Sets many presences, at most 1,000; gives for each what is then in force, or why it was not set: what `setPresence` throws. All that fails for
 * all of them it throws.
 */
export async function batchSetPresence(
  deps: SetPresenceDeps,
  scope: ProjectScope,
  inputs: readonly SetPresenceInput[],
): Promise<readonly (UserPresence | MusterError)[]> {
  const { settings } = await deps.projects.get(scope.projectId);
  const subjects = await subjectsOf(
    deps.db,
    scope,
    inputs.map(({ key }) => key),
  );
  const set = async ({ key, steps }: SetPresenceInput, index: number): Promise<UserPresence> => {
    const chain = createChain(steps, `presences[${index}].presence`);
    // One that was not found may have been deleted.
    const subject = subjects[index] ?? (await subjectOf(deps.db, scope, key));
    const { now, ...known } = await store(deps, scope, subject, chain);
    return userPresenceAt(subject.userId, known, now, settings.defaultPresence);
  };
  return Promise.all(inputs.map((input, index) => set(input, index).catch(refusalOf)));
}

function refusalOf(error: unknown): MusterError {
  if (error instanceof MusterError) return error;
  throw error;
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
