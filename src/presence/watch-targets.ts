import type { Database } from "../db/orm.ts";
import type { ProjectScope, UserKey } from "../users/users.ts";
import { keyOf, type Subject } from "./engine.ts";
import { subjectsOf } from "./subjects.ts";

/** Whom to watch: each user once. */
export interface WatchTargets {
  readonly subjects: readonly Subject[];
  /** External ids that belong to nobody: shown once, as if never set. */
  readonly unknownExternalIds: readonly string[];
}

/** Whom keys name. A login, an email or a phone that belongs to nobody is passed over. */
export async function targetsOf(db: Database, scope: ProjectScope, keys: readonly UserKey[]): Promise<WatchTargets> {
  const subjects = await subjectsOf(db, scope, keys);
  const once = new Map<string, Subject>();
  for (const subject of subjects) if (subject) once.set(keyOf(subject), subject);
  const unknown = keys.filter(({ by }, index) => by === "externalId" && !subjects[index]);
  return { subjects: [...once.values()], unknownExternalIds: [...new Set(unknown.map(({ value }) => value))] };
}
