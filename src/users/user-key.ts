/** One user of a project by one of its unique identifiers. */
export interface UserKey {
  readonly by: "id" | "externalId" | "login" | "email" | "phone";
  /** As the caller wrote it. */
  readonly value: string;
}

/** A login as it is compared: canonically composed, without regard to case. */
export const loginKey = (login: string): string => login.normalize("NFC").toLowerCase().normalize("NFC");

/** An email address as it is compared: without regard to case. The domain is case-insensitive by RFC 5321 §2.4; we hold the local part so too. */
export const emailKey = (email: string): string => email.normalize("NFC").toLowerCase().normalize("NFC");

/** The column an identifier is found by, and the form it is compared in. */
export const KEY_COLUMNS = {
  id: { column: "id", comparable: (value: string) => value },
  externalId: { column: "external_id", comparable: (value: string) => value },
  login: { column: "login_key", comparable: loginKey },
  email: { column: "email_key", comparable: emailKey },
  phone: { column: "phone", comparable: (value: string) => value },
} as const satisfies Record<UserKey["by"], { column: string; comparable(value: string): string }>;
