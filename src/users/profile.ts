import { skeletonOf } from "../skeleton.ts";
import type { AttributesChange } from "./attributes-change.ts";
import { emailKey } from "./email-address.ts";
import type { Attributes, JsonObject } from "./user.entity.ts";
import { loginKey, nameKey } from "./user-key.ts";

/** The fields of a user that callers write. */
export interface Profile {
  readonly login?: string | undefined;
  readonly name?: string | undefined;
  readonly email?: string | undefined;
  readonly emailVerified?: boolean | undefined;
  readonly phone?: string | undefined;
  readonly phoneVerified?: boolean | undefined;
  readonly avatarUrl?: string | undefined;
  readonly bio?: string | undefined;
  readonly website?: string | undefined;
  /** `YYYY-MM-DD`. */
  readonly birthdate?: string | undefined;
  readonly timeZone?: string | undefined;
  readonly location?: { readonly latitude: number; readonly longitude: number } | undefined;
  readonly metadata?: JsonObject | undefined;
  readonly privateMetadata?: JsonObject | undefined;
  /** Those to set; the others stay. */
  readonly attributes?: Attributes | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly reputation?: number | undefined;
}

export type ProfileField = keyof Profile;

/** A change of a profile: exactly `fields` are written, and those of them without a value are cleared. */
export interface ProfileChange {
  readonly fields: ReadonlySet<ProfileField>;
  readonly values: Profile;
  /** The change of attributes as it was asked for, until it is held against their definitions. */
  readonly attributes?: AttributesChange | undefined;
  /** Keys of the attributes to remove. */
  readonly removedAttributes?: readonly string[] | undefined;
}

/** A column that a field is kept in. `type` is its Postgres type. */
export interface ProfileColumn {
  readonly name: string;
  readonly type: string;
  readonly field: ProfileField;
  value(profile: Profile): unknown;
}

const column = (
  field: ProfileField,
  name: string,
  type: string,
  value: (profile: Profile) => unknown = (profile) => profile[field],
): ProfileColumn => ({ field, name, type, value });

/** THE list of the columns that callers write, from which every statement that writes users is made. */
export const PROFILE_COLUMNS: readonly ProfileColumn[] = [
  column("login", "login", "text"),
  column("login", "login_key", "text", ({ login }) => login && loginKey(login)),
  column("login", "login_skeleton", "text", ({ login }) => login && skeletonOf(login)),
  column("name", "name", "text"),
  column("name", "name_key", "text", ({ name }) => name && nameKey(name)),
  column("email", "email", "text"),
  column("email", "email_key", "text", ({ email }) => email && emailKey(email)),
  column("emailVerified", "email_verified", "boolean", (profile) => profile.emailVerified ?? false),
  column("phone", "phone", "text"),
  column("phoneVerified", "phone_verified", "boolean", (profile) => profile.phoneVerified ?? false),
  column("avatarUrl", "avatar_url", "text"),
  column("bio", "bio", "text"),
  column("website", "website", "text"),
  column("birthdate", "birthdate", "date"),
  column("timeZone", "time_zone", "text"),
  column("location", "latitude", "double precision", ({ location }) => location?.latitude),
  column("location", "longitude", "double precision", ({ location }) => location?.longitude),
  column("metadata", "metadata", "jsonb"),
  column("privateMetadata", "private_metadata", "jsonb"),
  column("attributes", "attributes", "jsonb", (profile) => profile.attributes ?? {}),
  column("tags", "tags", "text[]", (profile) => profile.tags ?? []),
  column("reputation", "reputation", "bigint", (profile) => profile.reputation ?? 0),
];

/** The fields, in the order of their bits in a statement's mask. */
export const PROFILE_FIELDS: readonly ProfileField[] = [...new Set(PROFILE_COLUMNS.map(({ field }) => field))];

/** The fields by their names in the contract: what an audit entry says of a change. */
export const fieldNamesOf = (fields: ReadonlySet<ProfileField>): string[] =>
  PROFILE_FIELDS.filter((field) => fields.has(field)).map((field) =>
    field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
  );

/** The bits of the fields that a change writes. */
export const maskOf = (fields: ReadonlySet<ProfileField>): number =>
  PROFILE_FIELDS.reduce((mask, field, bit) => (fields.has(field) ? mask | (1 << bit) : mask), 0);
