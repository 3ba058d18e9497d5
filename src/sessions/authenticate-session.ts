import { lookUp } from "../db/look-up.ts";
import { query } from "../db/statement.ts";
import { MusterError } from "../errors.ts";
import type { Recent } from "../recent.ts";
import type { AccessMemory, Mark } from "../revocations/revocations.ts";
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

export type ProlongPorts = Pick<SessionPorts, "db" | "clock" | "projects">;

/** A session, and when it was asked for in the database. */
export interface KnownSession {
  readonly session: LiveSession;
  readonly stoodAt: Mark;
}

export interface AuthenticatePorts extends ProlongPorts {
  readonly memory: AccessMemory;
  /** By the digest of the session token. */
  readonly known: Recent<KnownSession>;
}

/**
 * The session of a session token, prolonged by this request: one look and one write a minute, and a look when something may have ended it.
 * What is remembered of it is given at once. Without a project any will do. SESSION_NOT_FOUND, USER_SUSPENDED; STORAGE_UNAVAILABLE.
 */
export function authenticateSession(
  ports: AuthenticatePorts,
  token: string,
  { projectId, signal }: { readonly projectId?: string; readonly signal?: AbortSignal | undefined } = {},
): LiveSession | Promise<LiveSession> {
  const digest = sessionDigest(token);
  if (!digest) throw new MusterError("SESSION_NOT_FOUND");
  const { clock, known, memory } = ports;
  const now = clock.now();
  const key = digest.toString("base64");
  const last = known.get(key);
  if (last && goesOn(last.session, now) && memory.holds(last.session, last.stoodAt)) {
    if (projectId !== undefined && last.session.projectId !== projectId) throw new MusterError("SESSION_NOT_FOUND");
    return last.session;
  }
  const stoodAt = memory.mark();
  return findSession(ports, digest, now, { projectId, signal }).then((session) => {
    known.put(key, { session, stoodAt });
    return session;
  });
}

/** Whether it has not ended by itself and need not be prolonged. */
const goesOn = ({ expireTime, lastActiveTime }: LiveSession, now: number): boolean =>
  now < expireTime.getTime() && now - lastActiveTime.getTime() < PROLONG_MS;

async function findSession(
  ports: AuthenticatePorts,
  digest: Buffer,
  now: number,
  { projectId, signal }: { readonly projectId: string | undefined; readonly signal: AbortSignal | undefined },
): Promise<LiveSession> {
  const values = [digest, new Date(now), projectId ?? null];
  type Found = LiveSession & { suspended: boolean };
  const [session] = await lookUp<Found & Record<string, unknown>>(ports.db, FIND_BY_TOKEN, values, signal);
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
  { db, clock, projects }: ProlongPorts,
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
