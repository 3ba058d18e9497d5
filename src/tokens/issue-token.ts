import { appendAuditSql } from "../audit/append-audit.ts";
import type { Clock } from "../clock.ts";
import { lookUp } from "../db/look-up.ts";
import type { Database } from "../db/orm.ts";
import { type RecordedStatement, recorded, type WriteScope, write } from "../db/recorded.ts";
import type { NamedStatement } from "../db/statement.ts";
import { invalid, MusterError } from "../errors.ts";
import type { NewId } from "../ids.ts";
import type { ProjectDirectory, ProjectSettings } from "../projects/projects.ts";
import type { Sealer } from "../sealing.ts";
import { blockedSql, type ProjectScope, requireUser, type UserIdentity, type UserKey } from "../users/users.ts";
import { checkAudience, checkCustomClaims } from "./custom-claims.ts";
import type { Issuers } from "./issuer.ts";
import { signText } from "./signing-algorithm.ts";
import type { ProjectKey, SigningKeys } from "./signing-keys.ts";
import type { JsonObject } from "./strict-json.ts";
import { sealContent, type TokenContent } from "./token-content.ts";
import { ACCESS_TOKEN_TYPE } from "./verify-token.ts";

export interface IssueTokenPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly projects: ProjectDirectory;
  readonly keys: SigningKeys;
  readonly issuers: Issuers;
  readonly sealer: Sealer;
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
  /** Not before what the user's tokens are valid from. */
  readonly issueTime: Date;
  /** Whether the key that is to sign was not revoked meanwhile. */
  readonly keyStands: boolean;
}

type Found = Holder & Record<string, unknown>;

/**
 * $1 project, $2 the user, $3 now, $4 the full second of now, $5 the key. All that a user had may have been ended up to the next full
 * second: what is issued before that is then up to a second ahead. That the key is still there is seen by the same snapshot: what is
 * issued after a project's keys were revoked is good.
 */
const holderSql = (by: HolderColumn) => `
  select u.project_id, u.id, u.external_id as "externalId", ${blockedSql("u", "$3::timestamptz")} as suspended,
    greatest(u.tokens_valid_from, $4::timestamptz) as "issueTime",
    exists (select from signing_keys k where k.project_id = $1 and k.id = $5) as "keyStands"
  from users u where u.project_id = $1 and u.${by} = $2`;

/** Finds the user and, unless it is suspended, keeps the token's row in one round trip: $6 token, $7 life in ms, $8 content. */
const storeToken = (by: HolderColumn): RecordedStatement =>
  recorded({
    name: `store_token_by_${by}`,
    text: `with holder as (${holderSql(by)}), stored as (
      insert into tokens (project_id, id, user_id, key_id, issue_time, expire_time, sealed_content)
      select project_id, $6, id, $5, "issueTime", "issueTime" + $7::float8 * interval '1 ms', $8::bytea
      from holder where not suspended and "keyStands"
      returning id, user_id
    ), audit as (${appendAuditSql({
      from: "stored",
      projectId: "$1::uuid",
      userId: "stored.user_id",
      target: "'token/' || stored.id",
      createTime: "$3::timestamptz",
    })})
    select id, "externalId", suspended, "issueTime", "keyStands" from holder`,
  });

const findHolder = (by: HolderColumn): NamedStatement => ({ name: `find_token_holder_by_${by}`, text: holderSql(by) });

export const STORE_TOKEN = { id: storeToken("id"), externalId: storeToken("external_id") } as const;
export const FIND_HOLDER = { id: findHolder("id"), externalId: findHolder("external_id") } as const;

/**
 * Mints a JWT for a user. It starts at the full second, so it ends up to one second before its life from now is over.
 * USER_NOT_FOUND, USER_DELETED, USER_SUSPENDED; REQUEST_INVALID for a life over the project's maximum or claims that are not free to set.
 */
export async function issueToken(
  ports: IssueTokenPorts,
  scope: WriteScope,
  input: IssueTokenInput,
): Promise<{ signedToken: string; token: IssuedToken }> {
  const claims = checkCustomClaims(input.claims ?? {});
  checkAudience(input.audience);
  const { settings } = await ports.projects.get(scope.projectId);
  const lifetimeMs = lifetimeOf(settings, input.ttlMs);
  const tokenId = ports.newId();
  const content = { claims, audience: input.audience };
  const { projectId } = scope;
  const sealedContent = input.stateless ? null : sealContent(ports.sealer, { projectId, tokenId }, content);
  const { user, key } = await store(ports, scope, input, { tokenId, lifetimeMs, sealedContent });
  const issuedAt = user.issueTime.getTime();
  const token = { tokenId, userId: user.id, issuedAt, expiresAt: issuedAt + lifetimeMs };
  const signed = { ...token, ...content, projectId, externalId: user.externalId };
  return { signedToken: await signToken(ports.issuers, key, signed), token };
}

/** What a JWT is to say. */
export interface UnsignedToken extends IssuedToken, TokenContent {
  readonly projectId: string;
  readonly externalId: string;
}

/** Signs an access token. What Muster says of it, no claim of the caller's takes the place of. */
export async function signToken(issuers: Issuers, key: ProjectKey, token: UnsignedToken): Promise<string> {
  const header = { typ: ACCESS_TOKEN_TYPE, alg: key.alg, kid: key.id };
  const payload = {
    ...token.claims,
    iss: issuers.of(token.projectId),
    sub: token.userId,
    aud: audienceOf(token.audience, token.projectId),
    iat: token.issuedAt / SECOND_MS,
    exp: token.expiresAt / SECOND_MS,
    jti: token.tokenId,
    ext: token.externalId,
  };
  const text = `${encode(header)}.${encode(payload)}`;
  const signature = await signText(key.algorithm, key.signingKey(), text);
  return `${text}.${signature.toString("base64url")}`;
}

/** The full second of a moment in milliseconds since the epoch. */
export const fullSecond = (nowMs: number): Date => new Date(Math.floor(nowMs / SECOND_MS) * SECOND_MS);

/** A life within the project's bounds, in milliseconds, whole seconds. REQUEST_INVALID. */
export function lifetimeOf({ tokenTtlMs, tokenTtlMaxMs }: ProjectSettings, ttlMs = tokenTtlMs): number {
  const wholeMs = Math.ceil(ttlMs / SECOND_MS) * SECOND_MS;
  if (!(wholeMs >= SECOND_MS)) throw invalid("ttl", "must be at least 1 s");
  if (wholeMs > tokenTtlMaxMs)
    throw invalid("ttl", `must be at most the project's token_ttl_max, ${tokenTtlMaxMs / SECOND_MS} s`);
  return wholeMs;
}

/** What is kept of a token beside its user. */
interface TokenRow {
  readonly tokenId: string;
  readonly lifetimeMs: number;
  readonly sealedContent: Buffer | null;
}

/** The user, the key to sign with and, unless the token is stateless, its row kept. */
async function store(
  ports: IssueTokenPorts,
  scope: WriteScope,
  input: IssueTokenInput,
  row: TokenRow,
): Promise<{ user: Holder; key: ProjectKey }> {
  for (;;) {
    const key = await ports.keys.toSign(scope.projectId, row.lifetimeMs);
    const user = await holderOf(ports, scope, input, row, key.id);
    if (user.keyStands) return { user, key };
    await ports.keys.refresh(scope.projectId);
  }
}

/** Only a user who is named otherwise than by id or external id costs a look-up of its own. */
async function holderOf(
  ports: IssueTokenPorts,
  scope: WriteScope,
  input: IssueTokenInput,
  token: TokenRow,
  keyId: string,
): Promise<Holder> {
  const { db, clock } = ports;
  const { key, stateless } = input;
  const { by, value } = key.by === "id" || key.by === "externalId" ? key : await byId(db, scope, key);
  const column = by === "id" ? "id" : "externalId";
  const now = clock.now();
  const holder = [scope.projectId, value, new Date(now), fullSecond(now), keyId];
  const kept = [token.tokenId, token.lifetimeMs, token.sealedContent];
  const [user] = stateless
    ? await lookUp<Found>(db, FIND_HOLDER[column], holder, scope.signal)
    : await write<Found>(db, scope, STORE_TOKEN[column], [...holder, ...kept]);
  if (user?.suspended) throw new MusterError("USER_SUSPENDED");
  if (user) return user;
  // Says whether there never was such a user or it was deleted. If it is there after all, it was made this moment.
  await requireUser(db, scope, key);
  return holderOf(ports, scope, input, token, keyId);
}

const byId = async (db: Database, scope: ProjectScope, key: UserKey): Promise<UserKey> => ({
  by: "id",
  value: (await requireUser(db, scope, key)).id,
});

const audienceOf = (audience: readonly string[], projectId: string): string | readonly string[] =>
  audience.length > 1 ? audience : (audience[0] ?? projectId);

const encode = (part: JsonObject): string => Buffer.from(JSON.stringify(part)).toString("base64url");
