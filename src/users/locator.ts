import { invalid } from "../errors.ts";
import { emailKey, mailboxOf } from "./email-address.ts";

/** The kinds of locator. */
export type LocatorType = "email" | "phone";

/** An address a user holds, as `users.locators` keeps it. */
export interface HeldLocator {
  readonly type: LocatorType;
  /** The form it is compared in. */
  readonly key: string;
  /** As the caller wrote it. */
  readonly value: string;
  readonly verified: boolean;
  /** At most one of a type is. */
  readonly primary: boolean;
}

/** An address by the form it is compared in. */
export type LocatorKey = Pick<HeldLocator, "type" | "key">;

/** An address that a caller names. */
export interface LocatorInput extends LocatorKey {
  readonly value: string;
}

/** The form a locator is compared in. A phone number has one spelling. */
export const locatorKey = (type: LocatorType, value: string): string => (type === "email" ? emailKey(value) : value);

/** Whether both are the same address. */
export const isSameLocator = (a: LocatorKey, b: LocatorKey): boolean => a.type === b.type && a.key === b.key;

/** Refuses, as REQUEST_INVALID about `field`, an address that no mail and no call could reach. */
export async function requireAddress(type: LocatorType, value: string, field: string): Promise<void> {
  if (type === "email") {
    if (!mailboxOf(value)) throw invalid(field, "is not a mailbox of RFC 5321 with a domain name");
  } else if (!(await isPossiblePhone(value))) {
    throw invalid(field, "is not a possible phone number in E.164");
  }
}

/** ITU-T E.164 §6: 15 digits at most, of which the country code is the first. */
const E164 = /^\+[1-9]\d{6,14}$/;

/** Whether a numbering plan has numbers of this length, and the number is spelled as E.164 spells it. */
async function isPossiblePhone(value: string): Promise<boolean> {
  if (!E164.test(value)) return false;
  // Its metadata take 80 ms and 10 MB: only a server that is given phone numbers pays for them.
  const { parsePhoneNumberFromString } = await import("libphonenumber-js/max");
  const phone = parsePhoneNumberFromString(value);
  return phone?.isPossible() === true && phone.number === value;
}
