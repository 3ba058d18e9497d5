import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { query } from "../db/statement.ts";
import { MusterError } from "../errors.ts";
import type { PageTokens } from "../page-tokens.ts";
import { type ProjectScope, requireUser, type UserKey } from "../users/users.ts";
import type { SessionRow } from "./session-row.ts";
import { GET_SESSION, LIST_SESSIONS } from "./session-statements.ts";

export interface ListPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly pageTokens: PageTokens;
}

/** A session, and whether its user is a guest. */
export type ListedSession = SessionRow & { readonly guest: boolean };

const DEFAULT_PAGE_SIZE = 100;

/** A session that goes on or can be refreshed; `owner`, if given, must be its user. SESSION_NOT_FOUND. */
export async function getSession(
  { db, clock }: ListPorts,
  { projectId, signal }: ProjectScope,
  sessionId: string,
  owner: string | undefined,
): Promise<ListedSession> {
  const values = [projectId, sessionId, owner ?? null, new Date(clock.now())];
  const [session] = await query<ListedSession & Record<string, unknown>>(db.pool, GET_SESSION, values, signal);
  if (!session) throw new MusterError("SESSION_NOT_FOUND");
  return session;
}

/**
 * A page of a user's sessions, newest first; `pageSize` 0: 100. USER_NOT_FOUND, USER_DELETED; REQUEST_INVALID for a page token of another
 * list.
 */
export async function listSessions(
  { db, clock, pageTokens }: ListPorts,
  scope: ProjectScope,
  key: UserKey,
  { pageSize, pageToken }: { readonly pageSize: number; readonly pageToken: string },
): Promise<{ sessions: ListedSession[]; nextPageToken: string }> {
  const { projectId, signal } = scope;
  const { id } = await requireUser(db, scope, key);
  const context = { list: "sessions", projectId, query: id };
  const [after = null, afterId = null] = pageToken ? pageTokens.read(context, pageToken) : [];
  const limit = pageSize || DEFAULT_PAGE_SIZE;
  const values = [projectId, id, new Date(clock.now()), after, afterId, limit + 1];
  const found = await query<ListedSession & Record<string, unknown>>(db.pool, LIST_SESSIONS, values, signal);
  const sessions = found.slice(0, limit);
  const last = found.length > limit ? sessions.at(-1) : undefined;
  const nextPageToken = last ? pageTokens.issue(context, [last.signInTime.toISOString(), last.sessionId]) : "";
  return { sessions, nextPageToken };
}
