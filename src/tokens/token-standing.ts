import type { Clock } from "../clock.ts";
import { lookUp } from "../db/look-up.ts";
import type { Database } from "../db/orm.ts";
import type { NamedStatement } from "../db/statement.ts";
import { MusterError } from "../errors.ts";
import { blockedSql, type UserRow, userRowSql } from "../users/users.ts";

/**
 * A token without a row is stateless; one whose user is gone has lost its row as well. `outdated`: all that the user had was ended after
 * it was issued, stateless tokens included. `signedOut`: it stands on a session that is not there any more, or as outdated itself.
 */
const standingSql = (also: string) => `
  select ${also} t.revoke_time is not null as revoked, ${blockedSql("u", "$4::timestamptz")} as suspended,
    u.tokens_valid_from is not null and u.tokens_valid_from > $5::timestamptz as outdated,
    $6::uuid is not null and not exists (select from sessions s where s.project_id = u.project_id and s.id = $6
      and (u.tokens_valid_from is null or s.create_time >= u.tokens_valid_from)) as "signedOut"
  from users u left join tokens t on t.project_id = u.project_id and t.id = $3
  where u.project_id = $1 and u.id = $2`;

const STANDING: NamedStatement = { name: "token_standing", text: standingSql("") };
const STANDING_OF_USER: NamedStatement = {
  name: "token_standing_of_user",
  text: standingSql(`${userRowSql("u")},`),
};

interface Standing extends Record<string, unknown> {
  readonly revoked: boolean;
  readonly suspended: boolean;
  readonly outdated: boolean;
  readonly signedOut: boolean;
}

/** What of a token says whether it stands. */
export interface StandingSubject {
  readonly projectId: string;
  readonly userId: string;
  readonly tokenId: string;
  readonly sessionId: string | undefined;
  /** Milliseconds since the epoch. */
  readonly issuedAt: number;
}

type Ports = { readonly db: Database; readonly clock: Clock };

/** Asks whether a token stands, by what the database says now. TOKEN_REVOKED, USER_SUSPENDED; STORAGE_UNAVAILABLE. */
export async function checkStanding(ports: Ports, token: StandingSubject, signal?: AbortSignal): Promise<void> {
  await ask(ports, STANDING, token, signal);
}

/** The same, and gives the user it stands for, in one look. */
export const standingUser = (ports: Ports, token: StandingSubject, signal?: AbortSignal): Promise<UserRow> =>
  ask<UserRow>(ports, STANDING_OF_USER, token, signal);

async function ask<Row>(
  { db, clock }: Ports,
  statement: NamedStatement,
  { projectId, userId, tokenId, sessionId, issuedAt }: StandingSubject,
  signal: AbortSignal | undefined,
): Promise<Row> {
  const values = [projectId, userId, tokenId, new Date(clock.now()), new Date(issuedAt), sessionId ?? null];
  const [standing] = await lookUp<Standing & Row>(db, statement, values, signal);
  if (!standing || standing.revoked) throw new MusterError("TOKEN_REVOKED");
  // A suspension has ended what was there when it began, too: while it lasts, it is what there is to say.
  if (standing.suspended) throw new MusterError("USER_SUSPENDED");
  if (standing.outdated || standing.signedOut) throw new MusterError("TOKEN_REVOKED");
  return standing;
}
