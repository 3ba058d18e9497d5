import type { NamedStatement, Statement } from "../db/statement.ts";
import { PROFILE_COLUMNS, PROFILE_FIELDS, type ProfileColumn, type ProfileField } from "./profile.ts";
import type { User } from "./user.entity.ts";
import { KEYS, type UserKey } from "./user-key.ts";

/** A user as the statements give it: without what identifiers are compared by, and what its tokens are checked by. */
export type UserRow = Omit<
  User,
  "projectId" | "loginKey" | "loginSkeleton" | "emailKey" | "nameKey" | "tokensValidFrom"
>;

/** What identifiers and names are compared by, which no row tells. */
const COMPARED = ["login_key", "login_skeleton", "email_key", "name_key"];

/** Columns as they are named in the table and in a row. */
export const COLUMNS = [
  "id",
  "external_id",
  ...PROFILE_COLUMNS.map(({ name }) => name).filter((name) => !COMPARED.includes(name)),
  "locators",
  "suspensions",
  "guest",
  "create_time",
  "update_time",
  "last_active_time",
  "version",
];
const camelCase = (name: string) => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
/** What a select gives of `users` for a row. */
export const AS_ROW = COLUMNS.map((name) => `${name} as "${camelCase(name)}"`).join(", ");
/** The same of one table among several. */
export const asRowOf = (table: string) => COLUMNS.map((name) => `${table}.${name} as "${camelCase(name)}"`).join(", ");
/** The same columns of one table, under their names in the table. */
export const qualified = (table: string) => COLUMNS.map((name) => `${table}.${name}`).join(", ");

const bitOf = (field: ProfileField): number => 1 << PROFILE_FIELDS.indexOf(field);

/** A contact that changes is verified if the user holds it as such, unless the same call says so: null has the database decide. */
const VERIFIES: Partial<Record<string, { field: ProfileField; column: string }>> = {
  email_verified: { field: "email", column: "email_key" },
  phone_verified: { field: "phone", column: "phone" },
};

/** Attributes alone are written one by one: those given over those there, without those to remove. */
const merged = (incoming: string, removed: string) => `(u.attributes - ${removed}::text[]) || ${incoming}`;

/** SQL for the value a column of `u` takes: `incoming` if the mask has its field, else what it is. */
function assigned(
  { field, name }: ProfileColumn,
  mask: string,
  incoming: (column: string) => string,
  removed: string,
): string {
  if (field === "attributes")
    return `case when ${mask} & ${bitOf(field)} <> 0 then ${merged(incoming(name), removed)} else u.${name} end`;
  // A user whose login another one had before by its looks holds none, and may go on writing that login.
  if (name === "login_skeleton")
    return `case when ${mask} & ${bitOf(field)} <> 0 and ${incoming("login")} is distinct from u.login then ${incoming(name)} else u.${name} end`;
  const contact = VERIFIES[name];
  const cleared = contact
    ? `when ${mask} & ${bitOf(contact.field)} <> 0 and ${incoming(contact.column)} is distinct from u.${contact.column} then null::boolean `
    : "";
  return `case when ${mask} & ${bitOf(field)} <> 0 then ${incoming(name)} ${cleared}else u.${name} end`;
}

/** SQL for an update of `u`: what it sets, and whether that differs from what is there. */
export function assignments(mask: string, now: string, incoming: (column: string) => string, removed: string) {
  const values = PROFILE_COLUMNS.map((column) => assigned(column, mask, incoming, removed));
  const set = PROFILE_COLUMNS.map(({ name }, i) => `${name} = ${values[i]}`);
  return {
    set: [...set, `update_time = ${now}`, "version = u.version + 1"].join(", "),
    // An update that changes nothing writes nothing.
    changes: `(${PROFILE_COLUMNS.map(({ name }) => `u.${name}`).join(", ")}) is distinct from (${values.join(", ")})`,
  };
}

type By = UserKey["by"];
/** A statement for each way of naming a user. */
export const byKey = <S extends Statement>(make: (by: By) => S): Record<By, S> =>
  Object.fromEntries((Object.keys(KEYS) as By[]).map((by) => [by, make(by)])) as Record<By, S>;

/** SQL that holds for the one user of project $1 that has an identifier. */
export function has(by: By, identifier: string): string {
  const found = KEYS[by];
  if ("column" in found) return `project_id = $1 and ${found.column} = ${identifier}`;
  return `project_id = $1 and id = (
    select user_id from locators where project_id = $1 and type = '${found.locator}' and key = ${identifier})`;
}

/** SQL that gives columns of the users of project $1 that have one of the identifiers $2; `key` says which one found the row. */
function among(by: By, columns: string): string {
  const found = KEYS[by];
  if ("column" in found)
    return `select ${columns}, ${found.column} as key from users where project_id = $1 and ${found.column} = any($2)`;
  return `select ${columns}, l.key from locators l join users u on u.project_id = l.project_id and u.id = l.user_id
    where l.project_id = $1 and l.type = '${found.locator}' and l.key = any($2)`;
}

/** One user: $1 project, $2 the identifier. */
export const GET_USER = byKey((by) => ({
  name: `users_get_by_${by}`,
  text: `select ${AS_ROW} from users where ${has(by, "$2")}`,
}));

/** Many users: $1 project, $2 the identifiers; `key` says which one found the row. */
export const GET_USERS = byKey((by) => ({ name: `users_get_many_by_${by}`, text: among(by, AS_ROW) }));

/** Ids of users by other identifiers: $1 project, $2 the identifiers. */
export const IDENTIFY_USERS = byKey((by) => ({
  name: `users_identify_by_${by}`,
  text: among(by, `id, external_id as "externalId"`),
}));

/** The ids of a project's users in their order: $1 project, $2 the id to begin after, $3 how many. */
export const USER_IDS_AFTER: Statement = {
  name: "users_ids_after",
  text: "select id from users where project_id = $1 and id > $2 order by id limit $3",
};

/** Those of the ids that belonged to deleted users: $1 project, $2 ids. */
export const DELETED_AMONG: NamedStatement = {
  name: "users_deleted_among",
  text: "select id from deleted_users where project_id = $1 and id = any($2)",
};
