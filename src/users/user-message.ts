import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type FieldMask, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { invalid } from "../errors.ts";
import { etagOf } from "../etag.ts";
import { type User as UserMessage, UserSchema } from "../gen/muster/v1/user_pb.ts";
import type { AttributeWriter } from "./attribute-definition.entity.ts";
import { attributesChange, attributesMessage } from "./attribute-message.ts";
import { requireAddress } from "./locator.ts";
import { LOCATOR_TYPES } from "./locator-message.ts";
import type { Profile, ProfileChange, ProfileField } from "./profile.ts";
import { suspensionMessage } from "./suspension-message.ts";
import type { JsonObject } from "./user.entity.ts";
import type { UserRow } from "./user-statements.ts";

type Init = MessageInitShape<typeof UserSchema>;

/** The user as it goes on the wire, whole: what a caller may not see is taken away by the chain. */
export function userMessage(user: UserRow): UserMessage {
  const init: Record<string, unknown> = {
    id: user.id,
    externalId: user.externalId,
    emailVerified: user.emailVerified,
    phoneVerified: user.phoneVerified,
    tags: user.tags,
    reputation: BigInt(user.reputation),
    locators: user.locators.map(({ type, value, verified, primary }) => ({
      ...{ value, verified, primary },
      type: LOCATOR_TYPES[type],
    })),
    guest: user.guest,
    createTime: timestampFromDate(user.createTime),
    updateTime: timestampFromDate(user.updateTime),
    etag: etagOf(user.version),
  };
  for (const name of ["login", "name", "email", "phone", "avatarUrl", "bio", "website", "timeZone"] as const)
    if (user[name] !== null) init[name] = user[name];
  if (user.birthdate) init["birthdate"] = dateMessage(user.birthdate);
  if (user.latitude !== null) init["location"] = { latitude: user.latitude, longitude: user.longitude };
  if (user.metadata) init["metadata"] = user.metadata;
  if (user.privateMetadata) init["privateMetadata"] = user.privateMetadata;
  if (Object.keys(user.attributes).length > 0) init["attributes"] = attributesMessage(user.attributes);
  if (user.suspensions.length > 0) init["suspensions"] = user.suspensions.map(suspensionMessage);
  if (user.lastActiveTime) init["lastActiveTime"] = timestampFromDate(user.lastActiveTime);
  return create(UserSchema, init as Init);
}

function dateMessage(date: string) {
  const [year = 0, month = 0, day = 0] = date.split("-").map(Number);
  return { year, month, day };
}

/** The fields that callers write, by their names on the wire. */
const FIELDS: Readonly<Record<string, ProfileField>> = {
  login: "login",
  name: "name",
  email: "email",
  email_verified: "emailVerified",
  phone: "phone",
  phone_verified: "phoneVerified",
  avatar_url: "avatarUrl",
  bio: "bio",
  website: "website",
  birthdate: "birthdate",
  time_zone: "timeZone",
  location: "location",
  metadata: "metadata",
  private_metadata: "privateMetadata",
  attributes: "attributes",
  tags: "tags",
  reputation: "reputation",
};

/**
 * The change a request asks for: what the mask names, or what is set; `writer` is who asks. REQUEST_INVALID for a path that cannot
 * be written, and for values that only tables tell from those that exist.
 */
export async function profileChange(
  message: UserMessage | undefined,
  mask: FieldMask | undefined,
  writer: AttributeWriter,
): Promise<ProfileChange> {
  if (message?.email) await requireAddress("email", message.email, "user.email");
  if (message?.phone) await requireAddress("phone", message.phone, "user.phone");
  const sent = message ? profileOf(message) : {};
  const given = message?.attributes ?? {};
  const paths = mask?.paths ?? [];
  const named = paths.map((path) => {
    const field = FIELDS[path];
    if (!field) throw invalid("update_mask", `${path} is not a field that can be written`);
    return field;
  });
  const set = Object.keys(sent) as ProfileField[];
  if (Object.keys(given).length > 0) set.push("attributes");
  const fields = new Set(named.length > 0 ? named : set);
  // A user that is new gets no more than the mask names, either.
  const values = named.length > 0 ? Object.fromEntries(Object.entries(sent).filter(([it]) => isIn(fields, it))) : sent;
  if (!fields.has("attributes")) return { values, fields };
  const attributes = attributesChange(given, { whole: named.length > 0, writer, path: "user.attributes" });
  return { values, fields, attributes };
}

const isIn = (fields: ReadonlySet<string>, name: string): boolean => fields.has(name);

/** Fields that are empty where they are left out. */
const PLAIN = [
  "login",
  "name",
  "email",
  "emailVerified",
  "phone",
  "phoneVerified",
  "avatarUrl",
  "bio",
  "website",
  "timeZone",
] as const satisfies (ProfileField & keyof UserMessage)[];

/** What is set in a message: what is empty counts as left out. */
function profileOf(message: UserMessage): Profile {
  const { birthdate, location, metadata, privateMetadata, reputation, tags, timeZone } = message;
  if (timeZone) requireTimeZone(timeZone);
  return {
    ...Object.fromEntries(PLAIN.flatMap((field) => (message[field] ? [[field, message[field]]] : []))),
    ...(birthdate && { birthdate: isoDate(birthdate) }),
    ...(location && { location: { latitude: location.latitude, longitude: location.longitude } }),
    ...(metadata && { metadata: metadata as JsonObject }),
    ...(privateMetadata && { privateMetadata: privateMetadata as JsonObject }),
    ...(tags.length > 0 && { tags }),
    ...(reputation !== 0n && { reputation: Number(reputation) }),
  };
}

const isoDate = ({ year, month, day }: { year: number; month: number; day: number }): string =>
  `${String(year).padStart(4, "0")}-${String(month).padStart(2, "0")}-${String(day).padStart(2, "0")}`;

/** The proto's pattern says what a name looks like; only the time zone database knows which exist. */
function requireTimeZone(name: string): void {
  try {
    Intl.DateTimeFormat("en", { timeZone: name });
  } catch {
    throw invalid("user.time_zone", "is not a time zone of the IANA database");
  }
}
