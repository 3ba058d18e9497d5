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

/** The most characters of a name that are compared: what folding makes of a name can be longer than an index takes. */
const NAME_KEY_LENGTH = 255;

/**
 * A name as it is compared and ordered: in compatibility composition, and folded, so that neither case nor presentation counts (NFKC and
 * the full case folding of the Unicode Standard §3.13, by way of upper case; ς is folded with σ).
 */
export function nameKey(name: string): string {
  const folded = name.normalize("NFKC").toUpperCase().toLowerCase().replaceAll("ς", "σ").normalize("NFKC");
  return folded.length <= NAME_KEY_LENGTH ? folded : Array.from(folded).slice(0, NAME_KEY_LENGTH).join("");
}

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
