import type { WriteScope } from "../db/recorded.ts";
import { MusterError } from "../errors.ts";
import { createUser, getUser, type ProfileChange, promoteGuest, type UserRow } from "../users/users.ts";
import { addressPrefix } from "./attempts/address-prefix.ts";
import { type Client, createGrant, type SignedIn } from "./create-grant.ts";
import type { SignInPorts } from "./sign-in-password.ts";

/** A user that signs up. */
export interface SignUpInput {
  readonly change: ProfileChange;
  readonly password: string;
  readonly client: Client;
  /** Who calls, if it is a user: a guest becomes the full one. */
  readonly callerId: string | undefined;
}

/**
 * Makes a full user with a password, or makes one of the guest that calls, and signs it in. PASSWORD_WEAK, LOGIN_TAKEN, LOCATOR_TAKEN,
 * RATE_LIMITED, PROJECT_NOT_FOUND, USER_DELETED for a guest whose time ran out meanwhile; REQUEST_INVALID for a login against the rules.
 */
export async function signUp(ports: SignInPorts, scope: WriteScope, input: SignUpInput): Promise<SignedIn> {
  const { client, password } = input;
  await ports.projects.get(scope.projectId);
  await ports.attempts.admitNewUser(scope.projectId, addressPrefix(client.address), "user");
  const passwordHash = await ports.passwords.hash(password, scope.signal);
  const user = (await promoted(ports, scope, input, passwordHash)) ?? (await made(ports, scope, input, passwordHash));
  try {
    return await createGrant(ports, scope, { userId: user.id, client });
  } catch (error) {
    // The user was deleted since.
    if (error instanceof MusterError && error.reason === "USER_NOT_FOUND") throw new MusterError("USER_DELETED");
    throw error;
  }
}

const made = (ports: SignInPorts, scope: WriteScope, { change }: SignUpInput, passwordHash: string) =>
  createUser(ports, scope, { change, guest: false, passwordHash });

/** The guest that calls, which is a guest no more; undefined: it is none. */
async function promoted(
  ports: SignInPorts,
  scope: WriteScope,
  { change, callerId }: SignUpInput,
  passwordHash: string,
): Promise<UserRow | undefined> {
  if (callerId === undefined) return undefined;
  const user = await promoteGuest(ports, scope, callerId, change, passwordHash);
  // Whose time ran out does not come back as somebody else.
  if (!user) await getUser(ports.db, scope, { by: "id", value: callerId });
  return user;
}
