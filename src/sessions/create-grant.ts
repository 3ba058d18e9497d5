import { randomBytes } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { type WriteScope, write } from "../db/recorded.ts";
import type { SealedColumn } from "../db/sealed-column.ts";
import { MusterError } from "../errors.ts";
import type { NewId } from "../ids.ts";
import type { ProjectDirectory } from "../projects/projects.ts";
import type { Sealer } from "../sealing.ts";
import type { AccessTokens } from "../tokens/tokens.ts";
import type { ProjectScope, UserRow } from "../users/users.ts";
import { DAY_MS, latestEnds } from "./session-ends.ts";
import type { SessionRow } from "./session-row.ts";
import { CREATE_SESSION } from "./session-statements.ts";
import { digestOfGeneration, refreshToken, SEED_BYTES, sessionToken } from "./session-tokens.ts";

export interface SessionPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly projects: ProjectDirectory;
  readonly sealer: Sealer;
  readonly accessTokens: AccessTokens;
}

/** What is known of the client that signs in. */
export interface Client {
  /** What it calls itself; kept in part. */
  readonly userAgent: string;
  /** An IP address; empty: not known. */
  readonly address: string;
}

/** What a sign-in or a refresh gives. */
export interface Grant {
  readonly sessionToken: string;
  readonly session: SessionRow;
  readonly accessToken: string;
  /** Milliseconds since the epoch. */
  readonly accessTokenExpiresAt: number;
  readonly refreshToken: string;
}

export interface SignedIn {
  readonly user: UserRow;
  readonly grant: Grant;
}

export interface NewGrant {
  readonly userId: string;
  readonly client: Client;
  /** The password that was checked: where it is set anew meanwhile, the check is worth nothing. */
  readonly passwordId?: string;
}

/** The session's columns are null where none was made. */
type Created = UserRow & SessionRow & { readonly suspended: boolean };

/**
 * Signs a user in: makes its session, with `session.created`, in one statement, and the tokens that stand on it. USER_SUSPENDED,
 * USER_NOT_FOUND; CREDENTIALS_REJECTED for a password that is not the user's any more.
 */
export async function createGrant(ports: SessionPorts, scope: WriteScope, input: NewGrant): Promise<SignedIn> {
  const { db, clock, newId, projects, sealer } = ports;
  const { settings } = await projects.get(scope.projectId);
  const sessionId = newId();
  const seed = randomBytes(SEED_BYTES);
  const now = clock.now();
  const ends = latestEnds(settings, now);
  const values = [
    scope.projectId,
    input.userId,
    new Date(now),
    sessionId,
    recognisable(input.client.userAgent),
    input.client.address,
    sealer.seal(seed, seedContext(scope.projectId, sessionId)),
    digestOfGeneration(seed, 0),
    ...[ends.session, ends.sessionAtLatest, ends.refresh, new Date(now + MOST_REFRESHED_MS), ends.guest],
    newId(),
    input.passwordId ?? null,
  ];
  const [row] = await write<Created & Record<string, unknown>>(db, scope, CREATE_SESSION, values);
  if (!row) throw new MusterError("USER_NOT_FOUND");
  if (row.suspended) throw new MusterError("USER_SUSPENDED");
  if (row.sessionId === null) throw new MusterError("CREDENTIALS_REJECTED");
  return grantOf(ports, scope, row, { seed, generation: 0, refreshCounter: 0 });
}

/** The absolute life of what refresh tokens prolong. */
const MOST_REFRESHED_MS = 365 * DAY_MS;

/** What a seed is sealed for. */
export const seedContext = (projectId: string, sessionId: string) =>
  ({ purpose: "session-seed", projectId, id: sessionId }) as const;

export const SEALED_SEEDS: SealedColumn = {
  table: "sessions",
  column: "sealed_seed",
  key: ["project_id", "id"],
  contextOf: ({ project_id: projectId = "", id = "" }) => seedContext(projectId, id),
};

/** The tokens of a session. The access token is made anew each time; the others derive from the seed. */
export async function grantOf(
  { accessTokens }: Pick<SessionPorts, "accessTokens">,
  { projectId }: ProjectScope,
  row: UserRow & SessionRow,
  { seed, generation, refreshCounter }: { seed: Uint8Array; generation: number; refreshCounter: number },
): Promise<SignedIn> {
  const { sessionId } = row;
  const { signedToken, token } = await accessTokens.issue({
    projectId,
    userId: row.id,
    externalId: row.externalId,
    sessionId,
    notBefore: row.signInTime.getTime(),
    endAt: row.refreshExpireTime.getTime(),
  });
  const grant: Grant = {
    sessionToken: sessionToken(seed, generation),
    session: row,
    accessToken: signedToken,
    accessTokenExpiresAt: token.expiresAt,
    refreshToken: refreshToken(seed, sessionId, refreshCounter),
  };
  return { user: row, grant };
}

const MOST_CHARACTERS = 256;

/** What a client calls itself, without what cannot be shown. */
const recognisable = (userAgent: string): string =>
  userAgent
    .replace(/[^ -~]+/g, " ")
    .trim()
    .slice(0, MOST_CHARACTERS);
