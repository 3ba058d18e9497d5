import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { type WriteScope, write } from "../db/recorded.ts";
import { invalid, MusterError } from "../errors.ts";
import type { NewId } from "../ids.ts";
import { matchesPattern, type ProjectDirectory } from "../projects/projects.ts";
import { type AnnounceEnd, beforeTimeAt, forgetAfter } from "../revocations/revocations.ts";
import type { AttributeDefinitions } from "./attribute-definitions.ts";
import { settleAttributes } from "./attributes-change.ts";
import type { ProjectScope } from "./find-user.ts";
import { requireLogin } from "./login.ts";
import { parsePasswordHash } from "./passwords/password-hash.ts";
import { fieldNamesOf, maskOf, PROFILE_COLUMNS, type ProfileChange, type ProfileField } from "./profile.ts";
import { UPSERT_USER } from "./upsert-statements.ts";
import type { UserRow } from "./user-statements.ts";

export interface UserPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly projects: ProjectDirectory;
  readonly attributes: AttributeDefinitions;
  readonly announceEnd: AnnounceEnd;
}

/** A user to make or to bring up to date. */
export interface UserInput {
  /** Empty: one is generated and a user made. */
  readonly externalId: string;
  readonly change: ProfileChange;
  /** Another system's hash of the user's password; undefined: the user keeps what it has. */
  readonly passwordHash?: string | undefined;
}

/** The same, held against the rules. */
export interface SettledUser extends UserInput {
  /** Whether the project takes the external id for a new user. Those that came onto the roll before it had its pattern stay. */
  readonly mayCreate: boolean;
  /** The longest life that the project gives a token, in milliseconds. */
  readonly longestLifeMs: number;
}

export interface UpsertedUser {
  readonly user: UserRow;
  readonly outcome: "created" | "changed" | "unchanged";
}

/** A user as the statements that write users give it; `behind` is one that has to be written again. */
export type WrittenUser = UserRow & { readonly outcome: UpsertedUser["outcome"] | "behind" };

/** Whether one of them was not as it should be. */
export const hasWritten = (rows: readonly WrittenUser[]): boolean =>
  rows.some(({ outcome }) => outcome === "created" || outcome === "changed");

/** What writes need. */
export type WritePorts = Pick<UserPorts, "clock" | "newId"> & { readonly db: Pick<Database, "pool"> };

/** A row that another call made in the same moment is seen by the next try. */
const TRIES = 5;

/**
 * Makes a user, with its `user.created`, or brings it up to date: one statement. Of any number of racing calls for one external
 * id exactly one answers `created`. LOGIN_TAKEN, LOCATOR_TAKEN; REQUEST_INVALID for a new external id the project does not take,
 * an attribute that its definition does not, a login against the rules, or a hash that is not taken.
 */
export async function upsertUser(ports: UserPorts, scope: WriteScope, input: UserInput): Promise<UpsertedUser> {
  const written = await writeUser(ports, scope, await settleUser(ports, scope, input));
  if (mayHaveEnded(input, written)) ports.announceEnd();
  return written;
}

/** Whether a write may have ended what its user was signed in by: that of another password does. */
export const mayHaveEnded = ({ passwordHash }: UserInput, { outcome }: UpsertedUser): boolean =>
  passwordHash !== undefined && outcome === "changed";

/** Holds a user against the rules that the database does not keep. REQUEST_INVALID, PRINCIPAL_NOT_ALLOWED. */
export async function settleUser(
  { db, projects, attributes }: UserPorts,
  scope: ProjectScope,
  input: UserInput,
): Promise<SettledUser> {
  const { externalId, passwordHash } = input;
  const fault = passwordHash === undefined ? undefined : parsePasswordHash(passwordHash);
  if (typeof fault === "string") throw invalid("password_hash", fault);
  const { userIdPattern, tokenTtlMaxMs: longestLifeMs } = (await projects.get(scope.projectId)).settings;
  await requireLogin(db, scope, input.change);
  const change = await settleAttributes(attributes, scope.projectId, input.change);
  const mayCreate = !externalId || matchesPattern(userIdPattern, externalId);
  return { externalId, change, passwordHash, mayCreate, longestLifeMs };
}

/** Writes a user that was held against the rules. LOGIN_TAKEN, LOCATOR_TAKEN; REQUEST_INVALID for an external id. */
export async function writeUser(
  { db, clock, newId }: WritePorts,
  scope: WriteScope,
  { externalId, change, passwordHash, mayCreate, longestLifeMs }: SettledUser,
): Promise<UpsertedUser> {
  const id = newId();
  const profile = PROFILE_COLUMNS.map((column) => column.value(change.values));
  const details = changeDetails(change.fields, passwordHash !== undefined);
  const values = () => {
    const now = clock.now();
    const head = [scope.projectId, maskOf(change.fields), new Date(now), id, externalId || id, newId()];
    const password = passwordHash === undefined ? [] : [passwordHash, forgetEndsAt(now, longestLifeMs)];
    return [...head, ...profile, change.removedAttributes ?? [], details, ...password];
  };
  const statement = statementFor(mayCreate, passwordHash !== undefined);
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const [row] = await write<WrittenUser>(db, scope, statement, values, hasWritten);
    if (!row && !mayCreate) throw invalid("external_id", "does not match the project's user_id_pattern");
    if (!row) continue;
    const { outcome, ...user } = row;
    if (outcome !== "behind") return { user, outcome };
  }
  throw new MusterError("CONFLICT");
}

/** What an audit entry tells of a change of a user that is there, as JSON: the fields that were written. */
export const changeDetails = (fields: ReadonlySet<ProfileField>, password: boolean): string =>
  JSON.stringify({ created: false, changed: [...fieldNamesOf(fields), ...(password ? ["password"] : [])] });

/** When it may be forgotten that now all of a user's access ended. */
export const forgetEndsAt = (now: number, longestLifeMs: number): Date =>
  forgetAfter(beforeTimeAt(now).getTime() + longestLifeMs);

function statementFor(mayCreate: boolean, hasPassword: boolean) {
  if (mayCreate) return hasPassword ? UPSERT_USER.withPassword : UPSERT_USER.plain;
  return hasPassword ? UPSERT_USER.existingWithPassword : UPSERT_USER.existing;
}
