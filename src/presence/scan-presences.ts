import type { Database } from "../db/orm.ts";
import { type ProjectScope, userIdsAfter } from "../users/users.ts";
import { MAX_BATCH, type PresenceEngine, type ScannedUser, type ScanPage } from "./engine.ts";

export interface ScanDeps {
  readonly db: Database;
  readonly engine: PresenceEngine;
}

/** How many users a page of a scan looks at: gone through in some milliseconds, so that other calls are not held up. */
const PAGE = 5_000;

/**
 * Reads the presences of a project page by page. An engine without a way of its own is asked for each user there is.
 * @throws STORAGE_UNAVAILABLE
 */
export function scanPage({ db, engine }: ScanDeps, scope: ProjectScope, after: string): Promise<ScanPage> {
  if (engine.scan) return engine.scan(scope.projectId, after, PAGE, scope.signal);
  return scanUsers({ db, engine }, scope, after);
}

async function scanUsers({ db, engine }: ScanDeps, scope: ProjectScope, after: string): Promise<ScanPage> {
  const { projectId, signal } = scope;
  const ids = await userIdsAfter(db, scope, after, MAX_BATCH);
  const subjects = ids.map((userId) => ({ projectId, userId }));
  const { now, users } = await engine.get(subjects, signal);
  return {
    now,
    users: ids.flatMap((userId, index): ScannedUser[] => {
      const record = users[index]?.record;
      return record ? [{ userId, record, position: userId }] : [];
    }),
    next: ids.length < MAX_BATCH ? undefined : ids.at(-1),
  };
}
