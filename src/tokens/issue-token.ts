import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { query, type Statement } from "../db/statement.ts";
import { invalid, MusterError } from "../errors.ts";
import type { NewId } from "../ids.ts";
import type { ProjectDirectory, ProjectSettings } from "../projects/projects.ts";
import { blockedSql, type ProjectScope, requireUser, type UserIdentity, type UserKey } from "../users/users.ts";
import { checkAudience, checkCustomClaims } from "./custom-claims.ts";
import type { Issuers } from "./issuer.ts";
import { signText } from "./signing-algorithm.ts";
import type { ProjectKey, SigningKeys } from "./signing-keys.ts";
import type { JsonObject } from "./strict-json.ts";
import { ACCESS_TOKEN_TYPE } from "./verify-token.ts";

export interface IssueTokenPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly projects: ProjectDirectory;
  readonly keys: SigningKeys;
  readonly issuers: Issuers;
}

export interface IssueTokenInput {
  /** The user the token stands for. */
  readonly key: UserKey;
  /** How long it lives, in milliseconds, rounded up to whole seconds; 1 s to the project's maximum. Default: the project's. */
  readonly ttlMs?: number | undefined;
  /** Claims of the caller's own. */
  readonly claims?: JsonObject | undefined;
  /** Whom it is for; empty: the project. */
  readonly audience: readonly string[];
  /** Keeps no row of it. */
  readonly stateless: boolean;
}

/** What is known of a token; times in milliseconds since the epoch, whole seconds. */
export interface IssuedToken {
  /** The claim `jti`. */
  readonly tokenId: string;
  readonly userId: string;
  readonly issuedAt: number;
  readonly expiresAt: number;
}

const SECOND_MS = 1_000;

type HolderColumn = "id" | "external_id";

interface Holder extends UserIdentity {
  readonly suspended: boolean;
}

/** Finds the user and, unless it is suspended, keeps the token's row in one round trip. */
const storeToken = (by: HolderColumn): Statement => ({
  name: `store_token_by_${by}`,
  text: `with holder as (
      select u.project_id, u.id, u.external_id, ${blockedSql("u", "$3::timestamptz")} as suspended
      from users u where u.project_id = $1 and u.${by} = $2
    ), stored as (
      insert into tokens (project_id, id, user_id, issue_time, expire_time)
      select project_id, $4, id, $5, $6 from holder where not suspended
    )
    select id, external_id as "externalId", suspended from holder`,
});

const findHolder = (by: HolderColumn): Statement => ({
  name: `find_token_holder_by_${by}`,
  text: `select u.id, u.external_id as "externalId", ${blockedSql("u", "$3::timestamptz")} as suspended
    from users u where u.project_id = $1 and u.${by} = $2`,
});

const STORE_TOKEN = { id: storeToken("id"), externalId: storeToken("external_id") } as const;
const FIND_HOLDER = { id: findHolder("id"), externalId: findHolder("external_id") } as const;

/**
 * Mints a JWT for a user. It starts at the full second, so it ends up to one second before its life from now is over.
 * USER_NOT_FOUND, USER_DELETED, USER_SUSPENDED; REQUEST_INVALID for a life over the project's maximum or claims that are not free to set.
 */
export async function issueToken(
  ports: IssueTokenPorts,
  scope: ProjectScope,
  input: IssueTokenInput,
): Promise<{ signedToken: string; token: IssuedToken }> {
  const claims = checkCustomClaims(input.claims ?? {});
  checkAudience(input.audience);
  const { settings } = await ports.projects.get(scope.projectId);
  const lifetimeMs = lifetimeOf(settings, input.ttlMs);
  const key = await activeKey(ports.keys, scope.projectId);
  const issuedAt = Math.floor(ports.clock.now() / SECOND_MS) * SECOND_MS;
  const tokenId = ports.newId();
  const expiresAt = issuedAt + lifetimeMs;
  const user = await holderOf(ports, scope, input, { tokenId, issuedAt, expiresAt });
  const payload = {
    ...claims,
    iss: ports.issuers.of(scope.projectId),
    sub: user.id,
    aud: audienceOf(input.audience, scope.projectId),
    iat: issuedAt / SECOND_MS,
    exp: expiresAt / SECOND_MS,
    jti: tokenId,
    ext: user.externalId,
  };
  return { signedToken: await signedTokenOf(key, payload), token: { tokenId, userId: user.id, issuedAt, expiresAt } };
}

function lifetimeOf({ tokenTtlMs, tokenTtlMaxMs }: ProjectSettings, ttlMs = tokenTtlMs): number {
  const wholeMs = Math.ceil(ttlMs / SECOND_MS) * SECOND_MS;
  if (!(wholeMs >= SECOND_MS)) throw invalid("ttl", "must be at least 1 s");
  if (wholeMs > tokenTtlMaxMs)
    throw invalid("ttl", `must be at most the project's token_ttl_max, ${tokenTtlMaxMs / SECOND_MS} s`);
  return wholeMs;
}

async function activeKey(keys: SigningKeys, projectId: string): Promise<ProjectKey> {
  const known = await keys.list(projectId);
  if (known.length === 0) throw new MusterError("PROJECT_NOT_FOUND");
  const active = known.find((key) => key.state === "ACTIVE");
  if (!active) throw new Error(`project ${projectId} has no active signing key`);
  return active;
}

/** The user, and unless the token is stateless its row kept. Only one who is named otherwise costs a look-up of its own. */
async function holderOf(
  ports: IssueTokenPorts,
  scope: ProjectScope,
  input: IssueTokenInput,
  token: { tokenId: string; issuedAt: number; expiresAt: number },
): Promise<UserIdentity> {
  const { db, clock } = ports;
  const { key, stateless } = input;
  const { by, value } = key.by === "id" || key.by === "externalId" ? key : await byId(db, scope, key);
  const column = by === "id" ? "id" : "externalId";
  const statement = (stateless ? FIND_HOLDER : STORE_TOKEN)[column];
  const row = [token.tokenId, new Date(token.issuedAt), new Date(token.expiresAt)];
  const values = [scope.projectId, value, new Date(clock.now()), ...(stateless ? [] : row)];
  const [user] = await query<Holder & Record<string, unknown>>(db.pool, statement, values, scope.signal);
  if (user?.suspended) throw new MusterError("USER_SUSPENDED");
  if (user) return user;
  // Says whether there never was such a user or it was deleted. If it is there after all, it was made this moment.
  await requireUser(db, scope, key);
  return holderOf(ports, scope, input, token);
}

const byId = async (db: Database, scope: ProjectScope, key: UserKey): Promise<UserKey> => ({
  by: "id",
  value: (await requireUser(db, scope, key)).id,
});

const audienceOf = (audience: readonly string[], projectId: string): string | readonly string[] =>
  audience.length > 1 ? audience : (audience[0] ?? projectId);

async function signedTokenOf(key: ProjectKey, claims: JsonObject): Promise<string> {
  const header = { typ: ACCESS_TOKEN_TYPE, alg: key.alg, kid: key.id };
  const text = `${encode(header)}.${encode(claims)}`;
  const signature = await signText(key.algorithm, key.signingKey(), text);
  return `${text}.${signature.toString("base64url")}`;
}

const encode = (part: JsonObject): string => Buffer.from(JSON.stringify(part)).toString("base64url");
