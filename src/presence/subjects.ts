import type { Database } from "../db/orm.ts";
import { findUserIds, type ProjectScope, requireUser, type UserKey } from "../users/users.ts";
import type { Subject } from "./engine.ts";

export interface PresenceSettings {
  /** In force where nothing was set, or the chain is over. */
  readonly defaultPresence: string;
  /** Whether users may ask who there is. */
  readonly usersMayList: boolean;
}

/** What presence needs of the projects. */
export interface ProjectDefaults {
  /** @throws PROJECT_NOT_FOUND */
  get(projectId: string): Promise<{ readonly settings: PresenceSettings }>;
}

/**
 * The subject of one key. An id is taken as it is: whether the user exists shows when its presence is read or set.
 * @throws USER_NOT_FOUND
 */
export async function subjectOf(db: Database, scope: ProjectScope, key: UserKey): Promise<Subject> {
  const userId = key.by === "id" ? key.value : (await requireUser(db, scope, key)).id;
  return { projectId: scope.projectId, userId };
}

/** The subjects of many keys, in their order; undefined: no such user. Ids are taken as they are. */
export async function subjectsOf(
  db: Database,
  scope: ProjectScope,
  keys: readonly UserKey[],
): Promise<(Subject | undefined)[]> {
  const others = keys.filter(({ by }) => by !== "id");
  const found = others.length > 0 ? await findUserIds(db, scope, others) : [];
  let next = 0;
  return keys.map(({ by, value }) => {
    const userId = by === "id" ? value : found[next++]?.id;
    return userId === undefined ? undefined : { projectId: scope.projectId, userId };
  });
}
