import { type RecordedStatement, type WriteScope, write } from "../db/recorded.ts";
import { settleAttributes } from "./attributes-change.ts";
import { CREATE_USER, PROMOTE_GUEST } from "./create-user-statement.ts";
import { requireLogin } from "./login.ts";
import { fieldNamesOf, maskOf, PROFILE_COLUMNS, type ProfileChange } from "./profile.ts";
import type { UserPorts } from "./upsert-user.ts";
import type { UserRow } from "./user-statements.ts";

/** What a user that comes by itself brings along: it has no id of the project's own system. */
export interface NewUser {
  readonly change: ProfileChange;
  readonly guest: boolean;
  /** The hash of its password; undefined: it has none. */
  readonly passwordHash?: string;
}

/** What else is done in the statement that makes a user. */
export interface WithNewUser {
  /** Of `newUserStatement`. */
  readonly statement: RecordedStatement;
  /** What it takes beyond the user. */
  readonly values: readonly unknown[];
}

export type CreateUserPorts = Pick<UserPorts, "db" | "clock" | "newId" | "attributes">;

/**
 * Makes a user whose external id is its id, with its password, its `user.created` and what else is asked for: one statement. LOGIN_TAKEN, LOCATOR_TAKEN,
 * PROJECT_NOT_FOUND; REQUEST_INVALID for a login against the rules, and it or PRINCIPAL_NOT_ALLOWED for attributes.
 */
export async function createUser(
  ports: CreateUserPorts,
  scope: WriteScope,
  input: NewUser,
  { statement, values: more }: WithNewUser = { statement: CREATE_USER, values: [] },
): Promise<UserRow> {
  const { db, clock, newId } = ports;
  await requireLogin(db, scope, input.change);
  const { values } = await settleAttributes(ports.attributes, scope.projectId, input.change);
  const columns = PROFILE_COLUMNS.map((column) => column.value(values));
  const head = [scope.projectId, new Date(clock.now()), newId(), newId(), input.guest, input.passwordHash ?? null];
  const [user] = await write<UserRow>(db, scope, statement, [...head, ...columns, ...more]);
  if (!user) throw new Error("a user was not made");
  return user;
}

/**
 * Makes a guest a full user with a password, with `user.updated`: one statement. All that is its own stays. Undefined if it is no guest, or not any more.
 * LOGIN_TAKEN, LOCATOR_TAKEN; REQUEST_INVALID for a login against the rules, and it or PRINCIPAL_NOT_ALLOWED for attributes.
 */
export async function promoteGuest(
  { db, clock, newId, attributes }: CreateUserPorts,
  scope: WriteScope,
  userId: string,
  asked: ProfileChange,
  passwordHash: string,
): Promise<UserRow | undefined> {
  await requireLogin(db, scope, asked);
  const change = await settleAttributes(attributes, scope.projectId, asked);
  const columns = PROFILE_COLUMNS.map((column) => column.value(change.values));
  const head = [scope.projectId, maskOf(change.fields), new Date(clock.now()), userId, passwordHash];
  const details = { changed: ["guest", "password", ...fieldNamesOf(change.fields)] };
  const values = [...head, ...columns, change.removedAttributes ?? [], JSON.stringify(details), newId()];
  const [user] = await write<UserRow>(db, scope, PROMOTE_GUEST, values);
  return user;
}
