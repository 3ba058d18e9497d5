import type { JsonObject } from "../tokens/strict-json.ts";
import type { ProfileChange } from "../users/users.ts";

/** What a proof that holds says of a user, whoever gave it: a JWT of the customer's own system or an identity provider. */
export interface ProvenUser {
  /** The user's id there, 1–255 bytes: the only thing a user is known again by. */
  readonly subject: string;
  /** What is known of the user, with the members of `userData` of an external JWT, whatever their names are at the provider. */
  readonly userData: JsonObject;
}

export interface ProfilePorts {
  /**
   * The change of a profile that user data ask for: exactly what they name, null empties. `email_verified` and `phone_verified` count beside
   * the address that they are about, and not by themselves; what is no member of `USER_DATA_FIELDS` is let pass. REQUEST_INVALID for a value
   * that breaks a rule, with its path below `root`. Rules that only a write finds broken are told so by `toldOfUserData`.
   */
  profileOf(userData: JsonObject, root: string): Promise<ProfileChange>;
}
