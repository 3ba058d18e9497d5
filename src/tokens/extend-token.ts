import { appendAuditSql } from "../audit/append-audit.ts";
import { type RecordedStatement, recorded, write } from "../db/recorded.ts";
import { MusterError } from "../errors.ts";
import { blockedSql } from "../users/users.ts";
import { getToken, type TokenScope, type TokenWriteScope } from "./get-token.ts";
import { fullSecond, type IssuedToken, type IssueTokenPorts, lifetimeOf, signToken } from "./issue-token.ts";
import type { ProjectKey } from "./signing-keys.ts";
import { openContent } from "./token-content.ts";

export interface ExtendTokenInput {
  readonly tokenId: string;
  /** As of IssueTokenInput. */
  readonly ttlMs?: number | undefined;
  /** When what the user calls with was issued, in milliseconds since the epoch; undefined: the caller is no user. */
  readonly calledWithIssuedAt?: number | undefined;
}

/**
 * Moves the end of a token that is good. The user's row is locked, so that ending all that the user has and extending wait for each other:
 * what is extended first goes with the rest, what comes after finds that the token, or what it is called with, is from before. A shared
 * lock would do, but with many at once the one who wants to end it all might wait for ever. That both
 * keys, the one it was signed with and the one that is to sign, stand, is seen by one snapshot: they are revoked together.
 * $1 project, $2 token, $3 whose it has to be (null: anybody's), $4 now, $5 the full second of now, $6 life in ms, $7 when what the call
 * was made with was issued (null: no user calls), $8 the key.
 */
const EXTEND: RecordedStatement = recorded({
  name: "tokens_extend",
  text: `
    with holder as (
      select u.id, u.external_id, u.tokens_valid_from, greatest(u.tokens_valid_from, $5::timestamptz) as issue_time,
        ${blockedSql("u", "$4::timestamptz")} as suspended,
        exists (select from signing_keys k where k.project_id = $1 and k.id = t.key_id) as key_stood,
        exists (select from signing_keys k where k.project_id = $1 and k.id = $8) as key_stands
      from tokens t join users u on u.project_id = t.project_id and u.id = t.user_id
      where t.project_id = $1 and t.id = $2 and ($3::uuid is null or t.user_id = $3)
      for no key update of u
    ), extended as (
      update tokens t set issue_time = h.issue_time, key_id = $8,
        expire_time = greatest(t.expire_time, h.issue_time + $6::float8 * interval '1 ms')
      from holder h
      where t.project_id = $1 and t.id = $2 and t.revoke_time is null and t.expire_time > $4
        and h.key_stood and h.key_stands and not h.suspended
        and coalesce(t.issue_time >= h.tokens_valid_from and coalesce($7::timestamptz >= h.tokens_valid_from, true), true)
      returning t.id, t.user_id, t.issue_time, t.sealed_content
    ), audit as (${appendAuditSql({
      from: "extended",
      projectId: "$1::uuid",
      userId: "extended.user_id",
      target: "'token/' || extended.id",
      createTime: "$4::timestamptz",
    })})
    select h.external_id as "externalId", h.suspended, h.key_stood and not h.key_stands as "keyIsGone", e.issue_time as "issueTime",
      e.sealed_content as "sealedContent"
    from holder h left join extended e on true`,
});

interface Row extends Record<string, unknown> {
  readonly externalId: string;
  readonly suspended: boolean;
  /** Whether the key that is to sign was revoked meanwhile. */
  readonly keyIsGone: boolean;
  /** Null: it was not extended. */
  readonly issueTime: Date | null;
  readonly sealedContent: Buffer | null;
}

/**
 * Signs a token anew with a later end: the same id, user, claims and audience. TOKEN_NOT_FOUND for one that is unknown, stateless or
 * another user's; TOKEN_REVOKED, TOKEN_EXPIRED, USER_SUSPENDED; REQUEST_INVALID for a life over the project's maximum.
 */
export async function extendToken(
  ports: IssueTokenPorts,
  scope: TokenWriteScope,
  input: ExtendTokenInput,
): Promise<{ signedToken: string; token: IssuedToken }> {
  const { clock, projects, issuers, sealer } = ports;
  const { projectId } = scope;
  const { tokenId } = input;
  const { settings } = await projects.get(projectId);
  const asked = lifetimeOf(settings, input.ttlMs);
  const { userId, expiresAt } = await getToken(ports, scope, tokenId);
  // It never ends sooner than it did.
  const left = expiresAt - fullSecond(clock.now()).getTime();
  const lifetimeMs = Math.min(Math.max(asked, left), settings.tokenTtlMaxMs);
  const { row, key } = await extend(ports, scope, input, lifetimeMs);
  if (!row?.issueTime) return refuse(ports, scope, tokenId, row);
  const issuedAt = row.issueTime.getTime();
  const token = { tokenId, userId, issuedAt, expiresAt: issuedAt + lifetimeMs };
  const content = openContent(sealer, { projectId, tokenId }, row.sealedContent);
  const signed = { ...token, ...content, projectId, externalId: row.externalId };
  return { signedToken: await signToken(issuers, key, signed), token };
}

/** Moves the end, with a key that stands. */
async function extend(
  { db, clock, keys }: IssueTokenPorts,
  scope: TokenWriteScope,
  { tokenId, calledWithIssuedAt }: ExtendTokenInput,
  lifetimeMs: number,
): Promise<{ row: Row | undefined; key: ProjectKey }> {
  const { projectId, ownerId } = scope;
  const calledWith = calledWithIssuedAt === undefined ? null : new Date(calledWithIssuedAt);
  for (;;) {
    const key = await keys.toSign(projectId, lifetimeMs);
    const now = clock.now();
    const values = [
      projectId,
      tokenId,
      ownerId ?? null,
      new Date(now),
      fullSecond(now),
      lifetimeMs,
      calledWith,
      key.id,
    ];
    const [row] = await write<Row>(db, scope, EXTEND, values);
    if (!row?.keyIsGone) return { row, key };
    await keys.refresh(projectId);
  }
}

async function refuse(
  ports: IssueTokenPorts,
  scope: TokenScope,
  tokenId: string,
  row: Row | undefined,
): Promise<never> {
  if (!row) throw new MusterError("TOKEN_NOT_FOUND");
  if (row.suspended) throw new MusterError("USER_SUSPENDED");
  const { revoked, expiresAt } = await getToken(ports, scope, tokenId);
  throw new MusterError(!revoked && expiresAt <= ports.clock.now() ? "TOKEN_EXPIRED" : "TOKEN_REVOKED");
}
