import type { WriteScope } from "../../db/recorded.ts";
import { MusterError } from "../../errors.ts";
import type { JsonObject } from "../../tokens/strict-json.ts";
import { createUser } from "../../users/users.ts";
import { toldOfUserData } from "../user-data.ts";
import { CREATE_WITH_IDENTITY } from "./identity-statements.ts";
import type { ProvenSignIn, ProviderSignInPorts } from "./sign-in-with-provider.ts";

/** What a new user cannot have, because somebody else does or it is no address: the member of the user data, and who said so. */
export type Refused = Map<string, MusterError>;

/** Where in the request the profile comes from. */
const ROOT = "credential";

/** What says of an address whether it is verified goes with it. */
const LEFT_OUT: Readonly<Record<string, readonly string[]>> = {
  email: ["email", "email_verified"],
  phone: ["phone", "phone_verified"],
};

/**
 * Makes the user of an identity that nobody has, and links it: one statement. The email and the phone in `refused` are left out of its profile: a
 * sign-in never fails because of an address. Undefined where the user cannot have something of it, which `refused` then names, or somebody
 * has the identity by now: look again. REQUEST_INVALID, PROVIDER_NOT_FOUND, PROJECT_NOT_FOUND.
 */
export async function createWithIdentity(
  ports: ProviderSignInPorts,
  scope: WriteScope,
  { identity, proven }: ProvenSignIn,
  refused: Refused,
): Promise<string | undefined> {
  const { providerId, subject, email, emailVerified } = identity;
  const values = [providerId, subject, email, emailVerified, ports.newId()];
  const also = { statement: CREATE_WITH_IDENTITY, values };
  try {
    const change = await ports.profileOf(without(proven.userData, refused), ROOT);
    return (await toldOfUserData(ROOT, createUser(ports, scope, { change, guest: false }, also))).id;
  } catch (error) {
    if (!(error instanceof MusterError)) throw error;
    const member = memberOf(error);
    if (member) refused.set(member, error);
    if (member || error.reason === "IDENTITY_TAKEN") return undefined;
    throw error;
  }
}

/** The member of the user data that the user cannot have; undefined for another failure. */
function memberOf({ reason, extra }: MusterError): string | undefined {
  if (reason === "LOGIN_TAKEN") return "username";
  if (reason === "LOCATOR_TAKEN") return extra.metadata?.["type"];
  const fields = extra.violations?.map(({ field }) => field) ?? [];
  return Object.keys(LEFT_OUT).find((member) => fields.includes(`${ROOT}.${member}`));
}

const without = (userData: JsonObject, refused: Refused): JsonObject => {
  const leftOut = [...refused.keys()].flatMap((member) => LEFT_OUT[member] ?? []);
  return Object.fromEntries(Object.entries(userData).filter(([member]) => !leftOut.includes(member)));
};
