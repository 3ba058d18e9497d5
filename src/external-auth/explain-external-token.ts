import type { WriteScope } from "../db/recorded.ts";
import { rehearse } from "../db/rehearse.ts";
import { query, type Statement } from "../db/statement.ts";
import { MusterError, type Reason } from "../errors.ts";
import { blockedSql, getUser, type ProjectScope, type UserRow } from "../users/users.ts";
import { type BoundCheck, examinationOf, lookingChecks, whyOf, writingChecks } from "./examine-token.ts";
import type { CheckName, Examination, ExternalTokenPorts } from "./external-token-ports.ts";

/** The verdict of one check. */
export interface Verdict {
  readonly name: CheckName;
  readonly passed: boolean;
  /** For people; never a secret. */
  readonly detail: string;
}

export interface Explanation {
  readonly verdicts: readonly Verdict[];
  /** Whether the sign-in would make a user. */
  readonly wouldCreate: boolean;
  /** The user as it is; undefined: there is none. */
  readonly before: UserRow | undefined;
  /** The user as the sign-in would have it; undefined: it would not come so far. */
  readonly after: UserRow | undefined;
}

/**
 * Makes the checks of `verifyExternalUser`, each of those whose premises hold, and says of each what it found. What writes is rehearsed and taken
 * back, so that the JWT is not used up. EXTERNAL_JWT_MISSING, PROVIDER_UNAVAILABLE, PROJECT_NOT_FOUND; STORAGE_UNAVAILABLE.
 */
export async function explainExternalToken(
  ports: ExternalTokenPorts,
  scope: WriteScope,
  token: string,
): Promise<Explanation> {
  const seen = await examinationOf(ports, scope, token);
  const verdicts: Verdict[] = [];
  for (const check of lookingChecks(ports, seen)) await judge(check, verdicts);
  const rehearsed = async (pool: ExternalTokenPorts["db"]["pool"]) => {
    for (const check of writingChecks({ ...ports, db: { pool } }, seen)) await judge(check, verdicts);
  };
  await rehearse(ports.db.pool, rehearsed, scope.signal);
  const before = await userBefore(ports, scope, seen);
  if (before) await judgeStanding(ports, scope, before, verdicts);
  const isRefused = verdicts.some(({ passed }) => !passed);
  return {
    verdicts,
    wouldCreate: seen.written?.outcome === "created" && !isRefused,
    before,
    after: seen.written?.user,
  };
}

/** Makes a check, unless one that it needs has not passed. */
async function judge({ name, needs, run }: BoundCheck, verdicts: Verdict[]): Promise<void> {
  if (!needs.every((needed) => verdicts.some((verdict) => verdict.name === needed && verdict.passed))) return;
  try {
    verdicts.push({ name, passed: true, detail: await run() });
  } catch (error) {
    if (!(error instanceof MusterError) || NO_VERDICTS.includes(error.reason)) throw error;
    verdicts.push({ name, passed: false, detail: whyOf(error) });
  }
}

/** What says nothing of the JWT. */
const NO_VERDICTS: readonly Reason[] = ["STORAGE_UNAVAILABLE", "PROVIDER_UNAVAILABLE", "PROJECT_NOT_FOUND", "CONFLICT"];

/** The user as it is now that the rehearsal was taken back. */
async function userBefore(
  { db }: ExternalTokenPorts,
  scope: WriteScope,
  { written }: Examination,
): Promise<UserRow | undefined> {
  return written && written.outcome !== "created"
    ? getUser(db, scope, { by: "id", value: written.user.id })
    : undefined;
}

const IS_BLOCKED: Statement = {
  name: "external_user_blocked",
  text: `select ${blockedSql("u", "$3::timestamptz")} as blocked from users u where u.project_id = $1 and u.id = $2`,
};

/** The session that would be made is not rehearsed: a suspension is all that keeps a user that is there from it. */
async function judgeStanding(
  { db, clock }: ExternalTokenPorts,
  { projectId, signal }: ProjectScope,
  { id }: UserRow,
  verdicts: Verdict[],
): Promise<void> {
  const [row] = await query<{ blocked: boolean }>(db.pool, IS_BLOCKED, [projectId, id, new Date(clock.now())], signal);
  const at = verdicts.findIndex(({ name }) => name === "user");
  if (row?.blocked) verdicts[at] = { name: "user", passed: false, detail: `is ${id}, whom a suspension keeps out` };
}
