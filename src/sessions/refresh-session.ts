import { lookUp } from "../db/look-up.ts";
import { type WriteScope, write } from "../db/recorded.ts";
import { query } from "../db/statement.ts";
import { MusterError } from "../errors.ts";
import type { ProjectScope, UserRow } from "../users/users.ts";
import { grantOf, type SessionPorts, type SignedIn, seedContext } from "./create-grant.ts";
import { type EndPorts, endReusedSession } from "./end-session.ts";
import { latestEnds } from "./session-ends.ts";
import type { SessionRow, SessionSecrets } from "./session-row.ts";
import { READ_FAMILY, REPLAY, ROTATE } from "./session-statements.ts";
import { digestOfGeneration, isRefreshTokenOf, type ParsedRefreshToken, parseRefreshToken } from "./session-tokens.ts";

/** How long a token that was used still gives the successor that it gave then, in milliseconds. Its use does not make it longer. */
const GRACE_MS = 30_000;
/** Each try is lost to another call that used the token up, which the next one then sees. */
const TRIES = 5;

export type Refreshed = SignedIn & { readonly outcome: "ROTATED" | "REPLAYED" };

type Family = SessionRow & SessionSecrets;
/** The session's columns are null where it was not given. */
type Answer = UserRow & { readonly suspended: boolean } & Family;

/**
 * Gives a session its next refresh token (RFC 9700 §4.14.2). Of any number of calls that race with one token, one rotates and the others get
 * the same successor. A token that is older ends the session, in a transaction of its own. TOKEN_INVALID, SESSION_NOT_FOUND,
 * REFRESH_TOKEN_REUSED, USER_SUSPENDED, PROJECT_NOT_FOUND.
 */
export async function refreshSession(
  ports: SessionPorts & EndPorts,
  scope: WriteScope,
  token: string,
): Promise<Refreshed> {
  const parsed = parseRefreshToken(token);
  if (!parsed) throw new MusterError("TOKEN_INVALID");
  await ports.projects.get(scope.projectId);
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const { family, seed } = await readFamily(ports, scope, parsed);
    const behind = family.refreshCounter - parsed.counter;
    if (behind > 1 || (behind === 1 && !isWithinGrace(family, ports.clock.now()))) {
      await endReusedSession(ports, scope, family.sessionId, parsed.counter);
      throw new MusterError("REFRESH_TOKEN_REUSED");
    }
    const row = behind === 1 ? await replay(ports, scope, family) : await rotate(ports, scope, family, seed);
    if (!row) continue;
    const signedIn = await grantOf(ports, scope, row, { seed, ...row });
    return { ...signedIn, outcome: behind === 1 ? "REPLAYED" : "ROTATED" };
  }
  throw new MusterError("CONFLICT");
}

const isWithinGrace = ({ refreshRotateTime }: Family, now: number): boolean =>
  refreshRotateTime !== null && now - refreshRotateTime.getTime() <= GRACE_MS;

/** The session that the token is one of. SESSION_NOT_FOUND. */
async function readFamily(
  { db, clock, sealer }: SessionPorts,
  scope: ProjectScope,
  parsed: ParsedRefreshToken,
): Promise<{ family: Family; seed: Buffer }> {
  const values = [scope.projectId, parsed.sessionId];
  const [family] = await lookUp<Family & Record<string, unknown>>(db, READ_FAMILY, values, scope.signal);
  if (!family) throw new MusterError("SESSION_NOT_FOUND");
  const seed = sealer.open(family.sealedSeed, seedContext(scope.projectId, parsed.sessionId));
  // One that was never given out is none of the session, and ends nothing.
  const isIts = isRefreshTokenOf(seed, parsed) && parsed.counter <= family.refreshCounter;
  if (!isIts || family.refreshExpireTime.getTime() <= clock.now()) throw new MusterError("SESSION_NOT_FOUND");
  return { family, seed };
}

/** Undefined where another call was first. */
async function rotate(
  { db, clock, projects }: SessionPorts,
  scope: WriteScope,
  family: Family,
  seed: Uint8Array,
): Promise<Answer | undefined> {
  const { settings } = await projects.get(scope.projectId);
  const now = clock.now();
  const ends = latestEnds(settings, now);
  const values = [
    ...[scope.projectId, family.sessionId, family.userId, new Date(now), family.refreshCounter, ends.refresh],
    ...[digestOfGeneration(seed, family.generation + 1), ends.session, ends.sessionAtLatest],
  ];
  const [row] = await write<Answer & Record<string, unknown>>(db, scope, ROTATE, values);
  return standing(row);
}

async function replay({ db, clock }: SessionPorts, scope: ProjectScope, family: Family): Promise<Answer | undefined> {
  const { sessionId, userId, refreshCounter } = family;
  const values = [scope.projectId, sessionId, userId, new Date(clock.now()), refreshCounter];
  const [row] = await query<Answer & Record<string, unknown>>(db.pool, REPLAY, values, scope.signal);
  return standing(row);
}

/** Without a session it was used up or ended meanwhile: the next look tells. */
function standing(row: Answer | undefined): Answer | undefined {
  if (!row) throw new MusterError("SESSION_NOT_FOUND");
  if (row.suspended) throw new MusterError("USER_SUSPENDED");
  return row.sessionId === null ? undefined : row;
}
