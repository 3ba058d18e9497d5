import { appendAuditSql } from "../../audit/append-audit.ts";
import type { Statement } from "../../db/statement.ts";
import { appendEventSql, ORIGIN_OF_ACT } from "../../events/append-event.ts";
import { blockedSql, newUserStatement } from "../../users/users.ts";

/** What is known of an identity that somebody proves, and of the email it comes with. */
export interface FoundIdentity {
  /** The user it is linked to; null: nobody has it. */
  readonly userId: string | null;
  readonly email: string | null;
  readonly emailVerified: boolean | null;
  readonly lastSignInTime: Date | null;
  /** Whether a suspension keeps that user from being signed in. */
  readonly suspended: boolean | null;
  /** The user that holds the email as its own, verified; null: nobody does, or nobody was asked for. */
  readonly holderId: string | null;
  readonly holderSuspended: boolean | null;
}

/** Whether a user holds an email, in the form it is compared in, and has verified it. */
export const holdsVerifiedSql = (user: string, emailKey: string): string =>
  `${user}.locators @> jsonb_build_array(jsonb_build_object('type', 'email', 'key', ${emailKey}::text, 'verified', true))`;

/** One row: $1 project, $2 provider, $3 subject, $4 time, $5 the email whose holder is asked for, as it is compared (null: nobody's). */
export const FIND_IDENTITY: Statement = {
  name: "identities_find",
  text: `
    select i.user_id as "userId", i.email, i.email_verified as "emailVerified", i.last_sign_in_time as "lastSignInTime",
      ${blockedSql("u", "$4::timestamptz")} as suspended,
      holder.id as "holderId", holder.suspended as "holderSuspended"
    from (select) asked
    left join identities i on i.project_id = $1 and i.provider_id = $2 and i.subject = $3
    left join users u on u.project_id = i.project_id and u.id = i.user_id
    left join lateral (
      select h.id, ${blockedSql("h", "$4::timestamptz")} as suspended
      from locators l join users h on h.project_id = l.project_id and h.id = l.user_id
      where l.project_id = $1 and l.type = 'email' and l.key = $5::text and ${holdsVerifiedSql("h", "$5")}
    ) holder on true`,
};

/** How long a sign-in of the same kind is not written down again, in milliseconds. */
export const SIGN_IN_EVERY_MS = 60_000;

/**
 * Writes down that a user signed in by an identity, and what the provider says of its email: $1 project, $2 provider, $3 subject, $4 user, $5 email,
 * $6 whether it is verified, $7 time, $8 the time after which the last sign-in was written down lately.
 */
export const TOUCH_IDENTITY: Statement = {
  name: "identities_touch",
  text: `
    update identities set email = $5, email_verified = $6, last_sign_in_time = greatest(last_sign_in_time, $7::timestamptz)
    where project_id = $1 and provider_id = $2 and subject = $3 and user_id = $4
      and (last_sign_in_time is null or last_sign_in_time <= $8 or (email, email_verified) is distinct from ($5::text, $6::boolean))`,
};

/** A new user with the identity that it signs in by: after the user's values provider, subject, email, whether it is verified, event id. */
export const CREATE_WITH_IDENTITY = newUserStatement(
  "users_create_with_identity",
  (parameter) => `, linked as (
    insert into identities (project_id, provider_id, subject, user_id, email, email_verified, create_time, last_sign_in_time)
    select $1::uuid, ${parameter(0)}, ${parameter(1)}, written.id, ${parameter(2)}, ${parameter(3)}, $2::timestamptz, $2::timestamptz
    from written returning provider_id, subject
  ), linked_event as (${appendEventSql({
    from: "linked cross join written cross join event",
    projectId: "$1::uuid",
    id: `${parameter(4)}::uuid`,
    type: "identity.linked",
    userId: "written.id",
    data: `jsonb_build_object('user_id', written.id, 'external_id', written.external_id,
      'provider', linked.provider_id, 'subject', linked.subject)`,
    createTime: "$2::timestamptz",
    origin: ORIGIN_OF_ACT,
  })}), linked_audit as (${appendAuditSql({
    from: "linked cross join written",
    projectId: "$1::uuid",
    userId: "written.id",
    target: "'identity/' || linked.provider_id",
    details: `'{"linked": true}'::jsonb`,
    createTime: "$2::timestamptz",
  })})`,
);

/** What a user is linked to, the first one first: $1 project, $2 user. */
export const LIST_IDENTITIES: Statement = {
  name: "identities_list",
  text: `
    select provider_id as "providerId", subject, user_id as "userId", email, email_verified as "emailVerified",
      create_time as "createTime", last_sign_in_time as "lastSignInTime"
    from identities where project_id = $1 and user_id = $2
    order by create_time, provider_id, subject`,
};
