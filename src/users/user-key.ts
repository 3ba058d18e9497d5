import { emailKey } from "./email-address.ts";

/** One user of a project by one of its unique identifiers. */
export interface UserKey {
  readonly by: "id" | "externalId" | "login" | "email" | "phone";
  /** As the caller wrote it. */
  readonly value: string;
}

/** A login as it is compared: canonically composed, without regard to case. */
export const loginKey = (login: string): string => login.normalize("NFC").toLowerCase().normalize("NFC");

const asWritten = (value: string): string => value;

/** Where an identifier is found, a column of the user or one of its locators, and the form it is compared in. */
export const KEYS = {
  id: { column: "id", comparable: asWritten },
  externalId: { column: "external_id", comparable: asWritten },
  login: { column: "login_key", comparable: loginKey },
  email: { locator: "email", comparable: emailKey },
  phone: { locator: "phone", comparable: asWritten },
} as const satisfies Record<
  UserKey["by"],
  ({ readonly column: string } | { readonly locator: string }) & { comparable(value: string): string }
>;
