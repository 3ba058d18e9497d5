import { create, type DescMessage, type Message, type MessageInitShape } from "@bufbuild/protobuf";
import { MusterError, type Violation } from "../errors.ts";
import { type User, UserSchema } from "../gen/muster/v1/user_pb.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../tokens/strict-json.ts";
import type { ProfileChange } from "../users/users.ts";
import type { ProfilePorts } from "./proven-user.ts";
import { inUserData, isWritten, toldOfUserData, USER_DATA_FIELDS, type UserDataMember } from "./user-data.ts";

export interface UserDataPorts {
  /** Gives every rule that a message breaks, the declared ones and those of all messages. */
  check(schema: DescMessage, message: Message): readonly Violation[];
  /** The change that a profile asks for, exactly in the fields named. REQUEST_INVALID. */
  profileChange(user: User, fields: readonly string[]): Promise<ProfileChange>;
}

type Init = MessageInitShape<typeof UserSchema>;

/** Makes the reader of user data: the rules are those of the profile, so that no way into it is wider than another. */
export const createProfiles = (ports: UserDataPorts): ProfilePorts => ({
  async profileOf(userData, root) {
    const names = Object.keys(userData).filter((name) => isWritten(userData, name));
    const { init, faults } = readMembers(userData, names);
    const message = create(UserSchema, init);
    const broken = ports.check(UserSchema, message).map((violation) => inUserData(violation, root));
    const violations = [...faults.map((it) => ({ ...it, field: `${root}.${it.field}` })), ...broken];
    if (violations.length > 0) throw new MusterError("REQUEST_INVALID", { violations: violations.slice(0, 20) });
    const fields = names.map((name) => USER_DATA_FIELDS[name]);
    return toldOfUserData(root, ports.profileChange(message, fields));
  },
});

/** The fields that are given with a value, and what is wrong with the form of others. */
function readMembers(userData: JsonObject, names: readonly UserDataMember[]): { init: Init; faults: Violation[] } {
  const init: Record<string, unknown> = {};
  const faults: Violation[] = [];
  for (const name of names) {
    const value = userData[name];
    if (value === null || value === undefined) continue;
    const { field, read, form } = MEMBERS[name];
    const taken = read(value);
    if (taken === undefined) faults.push({ field: name, description: `must be ${form}, or null` });
    else init[field] = taken;
  }
  return { init, faults };
}

interface Member {
  readonly field: keyof User;
  /** The value of the field; undefined: it is of another form. */
  read(value: JsonValue): unknown;
  /** For people: what is taken. */
  readonly form: string;
}

const text = (field: keyof User): Member => ({
  field,
  read: (value) => (typeof value === "string" ? value : undefined),
  form: "a string",
});
const flag = (field: keyof User): Member => ({
  field,
  read: (value) => (typeof value === "boolean" ? value : undefined),
  form: "true or false",
});
const object = (field: keyof User): Member => ({
  field,
  read: (value) => (isJsonObject(value) ? value : undefined),
  form: "an object",
});

const MEMBERS: Readonly<Record<UserDataMember, Member>> = {
  email: text("email"),
  email_verified: flag("emailVerified"),
  phone: text("phone"),
  phone_verified: flag("phoneVerified"),
  name: text("name"),
  username: text("login"),
  avatar: text("avatarUrl"),
  bio: text("bio"),
  website: text("website"),
  location: { field: "location", read: readLocation, form: "a GeoJSON Point, or an object of latitude and longitude" },
  birthdate: { field: "birthdate", read: readDate, form: "a date as YYYY-MM-DD" },
  time_zone: text("timeZone"),
  metadata: object("metadata"),
  secureMetadata: object("privateMetadata"),
};

/** A Point has the longitude first (RFC 7946 §3.1.1); a height is let pass. */
function readLocation(value: JsonValue): { latitude: number; longitude: number } | undefined {
  if (!isJsonObject(value)) return undefined;
  const isPoint = value["type"] === "Point" && Array.isArray(value["coordinates"]);
  const [longitude, latitude] = isPoint
    ? (value["coordinates"] as readonly JsonValue[])
    : [value["longitude"], value["latitude"]];
  return typeof latitude === "number" && typeof longitude === "number" ? { latitude, longitude } : undefined;
}

/** Whether there is such a day, the rules of the profile say. */
function readDate(value: JsonValue): { year: number; month: number; day: number } | undefined {
  const parts = typeof value === "string" ? /^(\d{4})-(\d{2})-(\d{2})$/.exec(value) : null;
  const [year = 0, month = 0, day = 0] = parts?.slice(1).map(Number) ?? [];
  return parts ? { year, month, day } : undefined;
}
