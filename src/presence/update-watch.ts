import type { Database } from "../db/orm.ts";
import { type ProjectScope, type UserKey } from "../users/users.ts";
import type { WatchOwner } from "./watch-change.ts";
import type { WatchExchange } from "./watch-exchange.ts";
import { targetsOf } from "./watch-targets.ts";

export interface UpdateWatchDeps {
  readonly db: Database;
  readonly watches: WatchExchange;
}

export interface UpdateWatchInput {
  readonly watchId: string;
  /** Each at most 10,000. Who is in both is put on the list. */
  readonly add: readonly UserKey[];
  readonly remove: readonly UserKey[];
}

/**
 * Changes whom an open stream watches, and comes back when that is done.
 * @throws WATCH_NOT_FOUND, REQUEST_INVALID
 */
export async function updateWatch(
  { db, watches }: UpdateWatchDeps,
  scope: ProjectScope,
  owner: WatchOwner,
  { watchId, add, remove }: UpdateWatchInput,
): Promise<void> {
  const [adding, removing] = await Promise.all([targetsOf(db, scope, add), targetsOf(db, scope, remove)]);
  await watches.change({ watchId, owner, add: adding, remove: removing });
}
