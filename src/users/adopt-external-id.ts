import { appendAuditSql } from "../audit/append-audit.ts";
import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { type RecordedStatement, recorded, type WriteScope, write } from "../db/recorded.ts";
import { MusterError } from "../errors.ts";
import { appendEventSql, ORIGIN_OF_ACT } from "../events/append-event.ts";
import type { NewId } from "../ids.ts";
import { emailKey } from "./email-address.ts";
import { updatedEventSql } from "./user-events.ts";
import { qualified } from "./user-statements.ts";

/** Whose external id is to become `externalId`: who holds `email` as its own. */
export interface Adoption {
  readonly email: string;
  readonly externalId: string;
}

/**
 * What became of it. ADOPTED: the holder has the external id now, or had it already. UNVERIFIED: whoever holds the email has not verified it.
 * CONTESTED: somebody else has the external id, or the holder has another one. CHANGED: others were at it in the same moment: look again.
 */
export type AdoptionOutcome = "ADOPTED" | "UNVERIFIED" | "CONTESTED" | "CHANGED";

const verifiedSql = (user: string): string =>
  `${user}.locators @> jsonb_build_array(jsonb_build_object('type', 'email', 'key', $2::text, 'verified', true))`;

/** $1 project, $2 the email as it is compared, $3 external id, $4 time, $5 and $6 event ids. */
const ADOPT: RecordedStatement = recorded({
  name: "users_adopt_external_id",
  text: `
    with holder as materialized (
      select u.id, u.external_id, ${verifiedSql("u")} as verified
      from locators l join users u on u.project_id = l.project_id and u.id = l.user_id
      where l.project_id = $1 and l.type = 'email' and l.key = $2
    ), owner as materialized (select 1 from users where project_id = $1 and external_id = $3),
    adopted as (
      update users u set external_id = $3, guest = false, update_time = $4::timestamptz, version = u.version + 1
      from holder where u.project_id = $1 and u.id = holder.id and u.external_id = u.id::text and ${verifiedSql("u")}
        and not exists (select from owner)
      returning ${qualified("u")}
    ), event as (${appendEventSql({
      from: "adopted",
      projectId: "$1::uuid",
      id: "$5::uuid",
      type: "identity.linked",
      userId: "adopted.id",
      data: "jsonb_build_object('user_id', adopted.id, 'external_id', adopted.external_id, 'subject', adopted.external_id)",
      createTime: "$4::timestamptz",
      origin: ORIGIN_OF_ACT,
    })} returning true as told), updated as (${updatedEventSql({
      from: "adopted as written cross join event",
      id: "$6::uuid",
      createTime: "$4::timestamptz",
    })}), audit as (${appendAuditSql({
      from: "adopted",
      projectId: "$1::uuid",
      userId: "adopted.id",
      details: `'{"changed": ["external_id"]}'::jsonb`,
      createTime: "$4::timestamptz",
    })})
    select verified, external_id = $3 as same, external_id = id::text as free, exists (select from owner) as owned,
      exists (select from adopted) as adopted from holder`,
});

interface Found extends Record<string, unknown> {
  readonly verified: boolean;
  readonly same: boolean;
  readonly free: boolean;
  readonly owned: boolean;
  readonly adopted: boolean;
}

/**
 * Gives the user that holds a verified email an external id in place of the one it was made with, its own id, with `identity.linked` and `user.updated`: one
 * statement. A guest is none any more. Who has an external id of the project's own system keeps it.
 */
export async function adoptExternalId(
  { db, clock, newId }: { readonly db: Pick<Database, "pool">; readonly clock: Clock; readonly newId: NewId },
  scope: WriteScope,
  { email, externalId }: Adoption,
): Promise<AdoptionOutcome> {
  try {
    const values = [scope.projectId, emailKey(email), externalId, new Date(clock.now()), newId(), newId()];
    const [found] = await write<Found>(db, scope, ADOPT, values);
    if (!found) return "CHANGED";
    if (found.adopted || found.same) return "ADOPTED";
    if (!found.verified) return "UNVERIFIED";
    return found.free && !found.owned ? "CHANGED" : "CONTESTED";
  } catch (error) {
    if (error instanceof MusterError && error.reason === "EXTERNAL_ID_TAKEN") return "CHANGED";
    throw error;
  }
}
