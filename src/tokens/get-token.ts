import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import type { WriteScope } from "../db/recorded.ts";
import { query, type Statement } from "../db/statement.ts";
import { MusterError } from "../errors.ts";
import { UUID } from "../ids.ts";
import type { ProjectScope } from "../users/users.ts";
import type { IssuedToken } from "./issue-token.ts";

/** Which tokens a caller reaches: those of the project, or of one user alone. */
export interface TokenScope extends ProjectScope {
  readonly ownerId?: string | undefined;
}

/** The same, with what is being done. */
export interface TokenWriteScope extends WriteScope, TokenScope {}

export interface TokenReadPorts {
  readonly db: Database;
  readonly clock: Clock;
}

/** What is kept of a token. */
export interface TokenRecord extends IssuedToken {
  /** By itself, with all that its user had, or with the key that signed it. */
  readonly revoked: boolean;
}

/** The row of a TokenRecord. */
export interface TokenRow extends Record<string, unknown> {
  readonly tokenId: string;
  readonly userId: string;
  readonly issueTime: Date;
  readonly expireTime: Date;
  readonly revoked: boolean;
}

/** SQL for a TokenRow of `tokens t` and its `users u`. A key that goes before the last of its tokens has ended was revoked. */
export const tokenColumns = (now: string): string => `
  t.id as "tokenId", t.user_id as "userId", t.issue_time as "issueTime", t.expire_time as "expireTime",
  t.revoke_time is not null or coalesce(t.issue_time < u.tokens_valid_from, false) or (t.expire_time > ${now}
    and not exists (select from signing_keys k where k.project_id = t.project_id and k.id = t.key_id)) as revoked`;

/** $1 project, $2 token, $3 whose it has to be (null: anybody's), $4 now. */
const GET: Statement = {
  name: "tokens_get",
  text: `select ${tokenColumns("$4::timestamptz")} from tokens t join users u on u.project_id = t.project_id and u.id = t.user_id
    where t.project_id = $1 and t.id = $2 and ($3::uuid is null or t.user_id = $3)`,
};

/** What is kept of a token; one of another user is there no more than one that never was. TOKEN_NOT_FOUND. */
export async function getToken(
  { db, clock }: TokenReadPorts,
  scope: TokenScope,
  tokenId: string,
): Promise<TokenRecord> {
  const values = [scope.projectId, tokenId, scope.ownerId ?? null, new Date(clock.now())];
  const [row] = isTokenId(tokenId) ? await query<TokenRow>(db.pool, GET, values, scope.signal) : [];
  if (!row) throw new MusterError("TOKEN_NOT_FOUND");
  return recordOf(row);
}

/** Whether there may be a token of this id. */
export const isTokenId = (id: string): boolean => UUID.test(id);

/** A row as it is told. */
export const recordOf = ({ tokenId, userId, issueTime, expireTime, revoked }: TokenRow): TokenRecord => ({
  tokenId,
  userId,
  issuedAt: issueTime.getTime(),
  expiresAt: expireTime.getTime(),
  revoked,
});
