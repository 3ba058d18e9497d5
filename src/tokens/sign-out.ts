import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { query, type Statement } from "../db/statement.ts";
import { type AnnounceEnd, endAccessSql, LEEWAY } from "../revocations/revocations.ts";
import type { LogoutSubject } from "./logout-links.ts";

export interface SignOutPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly announceEnd: AnnounceEnd;
}

/**
 * Ends a token once, however many ask for it at a time. Of a stateless one a row is kept from then on, as revoked, since no row says that
 * it is good. The lock has it wait for one who deletes the user, with whom its tokens end.
 * $1 project, $2 token, $3 user, $4 issued, $5 expires, $6 now.
 */
const SIGN_OUT: Statement = {
  name: "tokens_sign_out",
  text: `
    with holder as (
      select id from users where project_id = $1 and id = $3 for key share
    ), revoked as (
      insert into tokens (project_id, id, user_id, issue_time, expire_time, revoke_time)
      select $1, $2, id, $4, $5, $6 from holder
      on conflict (project_id, id) do update set revoke_time = excluded.revoke_time where tokens.revoke_time is null
      returning project_id, id, expire_time
    ), ended as (${endAccessSql({
      from: "revoked",
      projectId: "project_id",
      subject: { tokenId: "id" },
      cause: "SIGNED_OUT",
      forgetAfterTime: `expire_time + ${LEEWAY}`,
      createTime: "$6::timestamptz",
    })})
    select id from revoked`,
};

/** Ends the token that a logout link names. False: it had ended for good before, or its user is gone. STORAGE_UNAVAILABLE. */
export async function signOut(
  { db, clock, announceEnd }: SignOutPorts,
  { projectId, tokenId, userId, issuedAt, expiresAt }: LogoutSubject,
  signal: AbortSignal,
): Promise<boolean> {
  const times = [issuedAt, expiresAt, clock.now()].map((ms) => new Date(ms));
  const revoked = await query(db.pool, SIGN_OUT, [projectId, tokenId, userId, ...times], signal);
  if (revoked.length > 0) announceEnd();
  return revoked.length > 0;
}
