import { isJsonObject, type JsonObject, type JsonValue } from "../tokens/strict-json.ts";
import { mailboxOf } from "../users/users.ts";

/** What a provider says of a user. */
export interface Told {
  readonly name?: JsonValue | undefined;
  readonly email?: JsonValue | undefined;
  readonly emailVerified?: JsonValue | undefined;
  /** One that the provider has verified. */
  readonly phone?: JsonValue | undefined;
  readonly login?: JsonValue | undefined;
  readonly avatarUrl?: JsonValue | undefined;
  readonly metadata?: JsonValue | undefined;
}

const MOST_NAME_LENGTH = 255;
const MOST_URL_LENGTH = 2_048;
const E164 = /^\+[1-9][0-9]{6,14}$/;
/** RFC 3986, with a host of letters. */
const HTTPS_URL =
  /^https:\/\/[a-z0-9.-]+(:\d{1,5})?(\/([\w.~!$&'()*+,;=:@/-]|%[0-9a-f]{2})*)?(\?([\w.~!$&'()*+,;=:@/?-]|%[0-9a-f]{2})*)?(#([\w.~!$&'()*+,;=:@/?-]|%[0-9a-f]{2})*)?$/i;

/**
 * User data of what a provider says. What cannot be a name, an email, a phone or a picture is left out: whoever signs in can do nothing about
 * what its provider has.
 */
export function toldProfile(told: Told): JsonObject {
  const { login, metadata } = told;
  return {
    ...nameOf(told.name),
    ...emailOf(told.email, told.emailVerified),
    ...phoneOf(told.phone),
    ...(isText(login) && { username: login }),
    ...avatarOf(told.avatarUrl),
    ...(isJsonObject(metadata) && { metadata }),
  };
}

const isText = (value: JsonValue | undefined): value is string => typeof value === "string" && value.trim() !== "";

const nameOf = (name: JsonValue | undefined): JsonObject =>
  isText(name) && name.trim().length <= MOST_NAME_LENGTH ? { name: name.trim() } : {};

/** Only `true` says that it is verified, not `"true"`. */
const emailOf = (email: JsonValue | undefined, verified: JsonValue | undefined): JsonObject =>
  isText(email) && mailboxOf(email) ? { email, email_verified: verified === true } : {};

const phoneOf = (phone: JsonValue | undefined): JsonObject =>
  isText(phone) && E164.test(phone) ? { phone, phone_verified: true } : {};

const avatarOf = (url: JsonValue | undefined): JsonObject =>
  isText(url) && url.length <= MOST_URL_LENGTH && HTTPS_URL.test(url) && URL.canParse(url) ? { avatar: url } : {};
