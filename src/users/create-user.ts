import { query } from "../db/statement.ts";
import { CREATE_USER } from "./create-user-statement.ts";
import type { ProjectScope } from "./find-user.ts";
import { PROFILE_COLUMNS, type Profile } from "./profile.ts";
import type { UserPorts } from "./upsert-user.ts";
import type { UserRow } from "./user-statements.ts";

/** A user that comes by itself: it has no id of the project's own system. */
export interface NewUser {
  readonly profile: Profile;
  readonly guest: boolean;
}

/** Makes a user whose external id is its id, with its `user.created`: one statement. LOGIN_TAKEN, LOCATOR_TAKEN; PROJECT_NOT_FOUND. */
export async function createUser(
  { db, clock, newId }: Pick<UserPorts, "db" | "clock" | "newId">,
  { projectId, signal }: ProjectScope,
  { profile, guest }: NewUser,
): Promise<UserRow> {
  const columns = PROFILE_COLUMNS.map((column) => column.value(profile));
  const values = [projectId, new Date(clock.now()), newId(), newId(), guest, ...columns];
  const [user] = await query<UserRow & Record<string, unknown>>(db.pool, CREATE_USER, values, signal);
  if (!user) throw new Error("a user was not made");
  return user;
}
