import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { type RecordedStatement, recorded, write } from "../db/recorded.ts";
import type { NewId } from "../ids.ts";
import { type AnnounceEnd, endAccessSql, LEEWAY } from "../revocations/revocations.ts";
import { isTokenId, type TokenWriteScope } from "./get-token.ts";
import { tellRevokedSql } from "./tell-revoked.ts";

export interface RevocationPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly announceEnd: AnnounceEnd;
}

/** $1 project, $2 token, $3 whose it has to be (null: anybody's), $4 now, $5 event id. One that has expired needs nobody to be told. */
const REVOKE: RecordedStatement = recorded({
  name: "tokens_revoke",
  text: `
    with revoked as (
      update tokens set revoke_time = $4
      where project_id = $1 and id = $2 and ($3::uuid is null or user_id = $3) and revoke_time is null
      returning project_id, id, user_id, expire_time
    ), ended as (${endAccessSql({
      from: "revoked",
      where: "expire_time > $4::timestamptz",
      projectId: "project_id",
      subject: { tokenId: "id" },
      cause: "TOKEN_REVOKED",
      forgetAfterTime: `expire_time + ${LEEWAY}`,
      createTime: "$4::timestamptz",
    })}), ${tellRevokedSql({ where: "revoked.expire_time > $4::timestamptz", eventId: "$5::uuid", now: "$4::timestamptz" })}
    select id from revoked`,
});

/** Revokes a token: one statement. One that is unknown, revoked or another user's stays as it is. */
export async function revokeToken(
  { db, clock, newId, announceEnd }: RevocationPorts,
  scope: TokenWriteScope,
  tokenId: string,
): Promise<void> {
  if (!isTokenId(tokenId)) return;
  const values = [scope.projectId, tokenId, scope.ownerId ?? null, new Date(clock.now()), newId()];
  const revoked = await write(db, scope, REVOKE, values);
  if (revoked.length > 0) announceEnd();
}
