import { invalid, MusterError } from "../errors.ts";
import type { PageTokens } from "../page-tokens.ts";
import type { ProjectScope } from "../users/users.ts";
import { presenceAt } from "./effective-presence.ts";
import { MAX_BATCH, type ScannedUser } from "./engine.ts";
import { type ScanDeps, scanPage } from "./scan-presences.ts";
import type { ProjectDefaults } from "./subjects.ts";
import { type UserPresence, userPresenceAt } from "./user-presence.ts";

export interface ListDeps extends ScanDeps {
  readonly projects: ProjectDefaults;
  readonly pageTokens: PageTokens;
}

export interface ListInput {
  /** Empty: every status but the project's default. */
  readonly status: string;
  /** 0–1,000; 0: 50. */
  readonly pageSize: number;
  /** Empty: the first page. */
  readonly pageToken: string;
}

export interface PresencePage {
  readonly presences: readonly UserPresence[];
  /** Empty: that was all. */
  readonly nextPageToken: string;
}

const DEFAULT_PAGE = 50;
/** How many pages of a scan one call looks through, whatever it finds: up to 50,000 presences. */
const MOST_PAGES = 10;

/**
 * Lists users by the status in force, in an order of the engine's own. A user that is there, and has the status, throughout all pages is on
 * exactly one of them. REQUEST_INVALID for the project's default presence, which is nobody's record, and for a page token of another
 * query; PRINCIPAL_NOT_ALLOWED to users, unless the project lets them list.
 */
export async function listPresence(
  deps: ListDeps,
  scope: ProjectScope,
  { status, pageSize, pageToken }: ListInput,
  byUser: boolean,
): Promise<PresencePage> {
  const { projectId } = scope;
  const { settings } = await deps.projects.get(projectId);
  if (byUser && !settings.usersMayList) throw new MusterError("PRINCIPAL_NOT_ALLOWED");
  const { defaultPresence } = settings;
  if (status === defaultPresence)
    throw invalid("status", "is the project's default presence, by which nobody is listed");
  const context = { list: "presences", projectId, query: [status] };
  const after = pageToken ? (deps.pageTokens.read(context, pageToken)[0] ?? "") : "";
  const isWanted = (its: string) => its !== defaultPresence && (status === "" || its === status);
  const { found, next } = await find(deps, scope, after, pageSize || DEFAULT_PAGE, ({ record }, now) =>
    isWanted(presenceAt(record, now, defaultPresence).status),
  );
  return {
    presences: (await read(deps, scope, found, defaultPresence)).filter((it) => isWanted(it.status)),
    nextPageToken: next === undefined ? "" : deps.pageTokens.issue(context, [next]),
  };
}

async function find(
  deps: ScanDeps,
  scope: ProjectScope,
  start: string,
  size: number,
  matches: (user: ScannedUser, now: number) => boolean,
): Promise<{ found: string[]; next: string | undefined }> {
  const found: string[] = [];
  let after: string | undefined = start;
  for (let pages = 0; pages < MOST_PAGES && after !== undefined; pages++) {
    const { now, users, next } = await scanPage(deps, scope, after);
    for (const user of users) {
      if (!matches(user, now)) continue;
      if (found.length === size) return { found, next: after };
      found.push(user.userId);
      after = user.position;
    }
    after = next;
  }
  return { found, next: after };
}

/** How those found are at the moment of the answer. */
async function read(
  { engine }: ScanDeps,
  { projectId, signal }: ProjectScope,
  userIds: readonly string[],
  defaultStatus: string,
): Promise<UserPresence[]> {
  const presences: UserPresence[] = [];
  for (let start = 0; start < userIds.length; start += MAX_BATCH) {
    const subjects = userIds.slice(start, start + MAX_BATCH).map((userId) => ({ projectId, userId }));
    const { now, users } = await engine.get(subjects, signal);
    for (const [index, { userId }] of subjects.entries()) {
      const known = users[index];
      if (known) presences.push(userPresenceAt(userId, known, now, defaultStatus));
    }
  }
  return presences;
}
