import type { Clock } from "../clock.ts";
import { type Act, actOf } from "../db/act.ts";
import type { Database } from "../db/orm.ts";
import { type RecordedStatement, recorded, write } from "../db/recorded.ts";
import type { NewId } from "../ids.ts";
import { type AnnounceEnd, endAccessSql, LEEWAY } from "../revocations/revocations.ts";
import type { LogoutSubject } from "./logout-links.ts";
import { tellRevokedSql } from "./tell-revoked.ts";

export interface SignOutPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly announceEnd: AnnounceEnd;
  readonly announceEvents: Act["committed"];
}

/**
 * Ends a token once, however many ask for it at a time. Of a stateless one a row is kept from then on, as revoked, since no row says that
 * it is good. The lock has it wait for one who deletes the user, with whom its tokens end.
 * $1 project, $2 token, $3 user, $4 issued, $5 expires, $6 now, $7 event id.
 */
const SIGN_OUT: RecordedStatement = recorded({
  name: "tokens_sign_out",
  text: `
    with holder as (
      select id from users where project_id = $1 and id = $3 for key share
    ), revoked as (
      insert into tokens (project_id, id, user_id, issue_time, expire_time, revoke_time)
      select $1, $2, id, $4, $5, $6 from holder
      on conflict (project_id, id) do update set revoke_time = excluded.revoke_time where tokens.revoke_time is null
      returning project_id, id, user_id, expire_time
    ), ended as (${endAccessSql({
      from: "revoked",
      projectId: "project_id",
      subject: { tokenId: "id" },
      cause: "SIGNED_OUT",
      forgetAfterTime: `expire_time + ${LEEWAY}`,
      createTime: "$6::timestamptz",
    })}), ${tellRevokedSql({ where: "true", eventId: "$7::uuid", now: "$6::timestamptz" })}
    select id from revoked`,
});

/** What the history calls the following of a logout link. */
const METHOD = "link/logout";

/** Ends the token that a logout link names, as an act of its user's. `address` is the client's, maybe empty. False: it had ended for good before, or its user is gone. STORAGE_UNAVAILABLE. */
export async function signOut(
  { db, clock, newId, announceEnd, announceEvents }: SignOutPorts,
  { projectId, tokenId, userId, issuedAt, expiresAt }: LogoutSubject,
  { address, signal }: { readonly address: string; readonly signal: AbortSignal },
): Promise<boolean> {
  const times = [issuedAt, expiresAt, clock.now()].map((ms) => new Date(ms));
  const facts = { method: METHOD, actor_kind: "user", actor_id: userId, address: address || undefined } as const;
  const scope = { projectId, signal, act: actOf(facts, announceEvents) };
  const revoked = await write(db, scope, SIGN_OUT, [projectId, tokenId, userId, ...times, newId()]);
  if (revoked.length > 0) announceEnd();
  return revoked.length > 0;
}
