import { query } from "../db/statement.ts";
import { MusterError } from "../errors.ts";
import type { SessionPorts } from "./create-grant.ts";
import { PROLONG_MS, sessionEnd } from "./session-ends.ts";
import type { SessionRow } from "./session-row.ts";
import { FIND_BY_TOKEN, PROLONG } from "./session-statements.ts";
import { sessionDigest } from "./session-tokens.ts";

/** A session that goes on. */
export interface LiveSession extends SessionRow {
  readonly projectId: string;
  readonly guest: boolean;
}

export type AuthenticatePorts = Pick<SessionPorts, "db" | "clock" | "projects">;

/**
 * The session of a session token, prolonged by this request: one look, and at most once a minute a write. Without a project any will do.
 * SESSION_NOT_FOUND, USER_SUSPENDED; STORAGE_UNAVAILABLE.
 */
export async function authenticateSession(
  ports: AuthenticatePorts,
  token: string,
  { projectId, signal }: { readonly projectId?: string; readonly signal?: AbortSignal | undefined } = {},
): Promise<LiveSession> {
  const digest = sessionDigest(token);
  if (!digest) throw new MusterError("SESSION_NOT_FOUND");
  const { db, clock } = ports;
  const now = clock.now();
  const values = [digest, new Date(now), projectId ?? null];
  type Found = LiveSession & { suspended: boolean };
  const [session] = await query<Found & Record<string, unknown>>(db.pool, FIND_BY_TOKEN, values, signal);
  if (!session) throw new MusterError("SESSION_NOT_FOUND");
  if (session.suspended) throw new MusterError("USER_SUSPENDED");
  if (now - session.lastActiveTime.getTime() < PROLONG_MS) return session;
  const [prolonged] = await prolongSessions(ports, [session], signal);
  if (!prolonged) return session;
  const expireTime = new Date(Math.min(prolonged.expireTime.getTime(), session.endTime.getTime()));
  return { ...session, expireTime, lastActiveTime: new Date(now) };
}

interface SessionKey {
  readonly projectId: string;
  readonly sessionId: string;
}

/** Prolongs those of the sessions that go on and that nobody prolonged for a minute, in one statement; gives them with their new ends. */
export async function prolongSessions(
  { db, clock, projects }: AuthenticatePorts,
  sessions: readonly SessionKey[],
  signal?: AbortSignal,
): Promise<(SessionKey & { expireTime: Date })[]> {
  const now = clock.now();
  const settings = new Map<string, Date>();
  for (const { projectId } of sessions)
    if (!settings.has(projectId)) settings.set(projectId, sessionEnd((await projects.get(projectId)).settings, now));
  const projectIds = sessions.map((session) => session.projectId);
  const ends = projectIds.map((projectId) => settings.get(projectId));
  const values = [projectIds, sessions.map(({ sessionId }) => sessionId), ends, new Date(now)];
  return query<SessionKey & { expireTime: Date } & Record<string, unknown>>(db.pool, PROLONG, values, signal);
}
