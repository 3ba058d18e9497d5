import { MusterError, type Violation } from "../errors.ts";
import type { JsonObject } from "../tokens/strict-json.ts";

/** The members of `userData`, and the field of `User` that each of them writes. What another one holds is let pass unread. */
export const USER_DATA_FIELDS = {
  email: "email",
  email_verified: "email_verified",
  phone: "phone",
  phone_verified: "phone_verified",
  name: "name",
  username: "login",
  avatar: "avatar_url",
  bio: "bio",
  website: "website",
  location: "location",
  birthdate: "birthdate",
  time_zone: "time_zone",
  metadata: "metadata",
  secureMetadata: "private_metadata",
} as const;

export type UserDataMember = keyof typeof USER_DATA_FIELDS;

/** Says of an address whether it is verified; by itself it says nothing. */
const ABOUT = { email_verified: "email", phone_verified: "phone" } as const;

const isMember = (name: string): name is UserDataMember => Object.hasOwn(USER_DATA_FIELDS, name);

/** Whether a member of `userData` is written. */
export function isWritten(userData: JsonObject, name: string): name is UserDataMember {
  if (!isMember(name) || userData[name] === undefined) return false;
  if (name !== "email_verified" && name !== "phone_verified") return true;
  const address = userData[ABOUT[name]];
  return typeof address === "string" && address !== "";
}

/** What of `userData` is let pass unread. */
export const ignoredMembers = (userData: JsonObject): string[] =>
  Object.keys(userData).filter((name) => !isWritten(userData, name));

/** Objects in their own form, whose parts nobody knows by the names that they have in a profile. */
const WHOLE: readonly string[] = ["location", "birthdate"];

/** A rule that a field of a profile breaks, told of the member of the user data at `root` that it came from. */
export function inUserData({ field, description }: Violation, root: string): Violation {
  const [, first = "", rest = ""] = /^(?:user\.)?([a-z_]+)(.*)$/.exec(field) ?? [];
  const member = Object.entries(USER_DATA_FIELDS).find(([, written]) => written === first)?.[0];
  return { field: member ? `${root}.${member}${WHOLE.includes(member) ? "" : rest}` : field, description };
}

/**
 * The outcome of work on a profile; what is wrong with that is told of the user data at `root`. `others`: what other fields than those of the
 * profile came from.
 */
export async function toldOfUserData<T>(
  root: string,
  work: Promise<T>,
  others: Readonly<Record<string, string>> = {},
): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof MusterError) || !error.extra.violations) throw error;
    const violations = error.extra.violations.map((violation) => {
      const field = others[violation.field];
      return field ? { ...violation, field } : inUserData(violation, root);
    });
    throw new MusterError(error.reason, { ...error.extra, violations });
  }
}
