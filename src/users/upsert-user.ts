import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { query } from "../db/statement.ts";
import { invalid, MusterError } from "../errors.ts";
import type { NewId } from "../ids.ts";
import { matchesPattern, type ProjectDirectory } from "../projects/projects.ts";
import type { AttributeDefinitions } from "./attribute-definitions.ts";
import { settleAttributes } from "./attributes-change.ts";
import type { ProjectScope } from "./find-user.ts";
import { requireLogin } from "./login.ts";
import { maskOf, PROFILE_COLUMNS, type ProfileChange } from "./profile.ts";
import { updateUser } from "./update-user.ts";
import { UPSERT_USER, type UserRow } from "./user-statements.ts";

export interface UserPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly projects: ProjectDirectory;
  readonly attributes: AttributeDefinitions;
}

/** A user to make or to bring up to date. */
export interface UserInput {
  /** Empty: one is generated and a user made. */
  readonly externalId: string;
  readonly change: ProfileChange;
}

export interface UpsertedUser {
  readonly user: UserRow;
  /** Whether this call made it. */
  readonly created: boolean;
}

/** A row that another call made in the same moment is seen by the next try. */
const TRIES = 5;

/**
 * Makes a user, with its `user.created`, or brings it up to date: one statement. Of any number of racing calls for one external
 * id exactly one answers `created`. LOGIN_TAKEN, LOCATOR_TAKEN; REQUEST_INVALID for a new external id the project does not take,
 * an attribute that its definition does not, or a login against the rules.
 */
export async function upsertUser(ports: UserPorts, scope: ProjectScope, input: UserInput): Promise<UpsertedUser> {
  const { db, clock, newId, projects } = ports;
  const { userIdPattern } = (await projects.get(scope.projectId)).settings;
  if (input.externalId && !matchesPattern(userIdPattern, input.externalId)) return updateOnly(ports, scope, input);
  const id = newId();
  const externalId = input.externalId || id;
  await requireLogin(db, scope, input.change);
  const change = await settleAttributes(ports.attributes, scope.projectId, input.change);
  const profile = PROFILE_COLUMNS.map((column) => column.value(change.values));
  const head = [scope.projectId, maskOf(change.fields), new Date(clock.now()), id, externalId];
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const [row] = await query<UserRow & { created: boolean }>(
      db.pool,
      UPSERT_USER,
      [...head, newId(), ...profile, change.removedAttributes ?? []],
      scope.signal,
    );
    if (!row) continue;
    const { created, ...user } = row;
    return { user, created };
  }
  throw new MusterError("CONFLICT");
}

/** Users that came onto the roll before the project had its pattern stay as they are. */
async function updateOnly(ports: UserPorts, scope: ProjectScope, input: UserInput): Promise<UpsertedUser> {
  try {
    const key = { by: "externalId", value: input.externalId } as const;
    return { user: await updateUser(ports, scope, key, input.change), created: false };
  } catch (error) {
    if (!(error instanceof MusterError && error.reason === "USER_NOT_FOUND")) throw error;
    throw invalid("external_id", "does not match the project's user_id_pattern");
  }
}
