import type { WriteScope } from "../db/recorded.ts";
import { MusterError, type Reason } from "../errors.ts";
import {
  type AttributeDefinitions,
  createUser,
  findUserIds,
  KEYS,
  type Passwords,
  type ProfileChange,
  type UserKey,
} from "../users/users.ts";
import { addressPrefix } from "./attempts/address-prefix.ts";
import type { Attempts } from "./attempts/attempts.ts";
import { type Client, createGrant, type NewGrant, type SessionPorts, type SignedIn } from "./create-grant.ts";

export interface SignInPorts extends SessionPorts {
  readonly attributes: AttributeDefinitions;
  readonly passwords: Passwords;
  readonly attempts: Attempts;
}

/** Who wants to sign in. */
export interface PasswordInput {
  readonly key: UserKey;
  readonly password: string;
  readonly client: Client;
  /** The profile of the user that the key becomes where nobody has it. REQUEST_INVALID. */
  newProfile(): Promise<ProfileChange>;
}

/**
 * Signs in a user by its password. Nobody, a wrong password, none and a suspended user have the same work and the same answer. The attempt
 * counts before it is made. CREDENTIALS_REJECTED, RATE_LIMITED, PROJECT_NOT_FOUND; where sign-ins make users, also what `createUser` says of
 * the new one, and PASSWORD_WEAK.
 */
export async function signInWithPassword(
  ports: SignInPorts,
  scope: WriteScope,
  input: PasswordInput,
): Promise<SignedIn & { readonly userCreated: boolean }> {
  const { key, password, client } = input;
  const { settings } = await ports.projects.get(scope.projectId);
  const attempt = await ports.attempts.admit({
    projectId: scope.projectId,
    identifier: [key.by, KEYS[key.by].comparable(key.value)],
    prefix: addressPrefix(client.address),
  });
  const proven = await ports.passwords.verify(scope, key, password);
  const made = !proven && settings.createUsersOnSignIn ? await makeUser(ports, scope, input) : undefined;
  const signedIn = await grantFor(ports, scope, client, proven ?? made);
  if (signedIn) {
    await attempt.succeeded();
    return { ...signedIn, userCreated: made !== undefined };
  }
  await attempt.failed();
  throw new MusterError("CREDENTIALS_REJECTED");
}

type Proven = Pick<NewGrant, "userId" | "passwordId">;

/** Undefined where nobody proved anything, or it does not hold any more. */
async function grantFor(ports: SignInPorts, scope: WriteScope, client: Client, proven: Proven | undefined) {
  try {
    return proven && (await createGrant(ports, scope, { ...proven, client }));
  } catch (error) {
    if (error instanceof MusterError && NOT_ANY_MORE.includes(error.reason)) return undefined;
    throw error;
  }
}

const NOT_ANY_MORE: readonly Reason[] = ["USER_SUSPENDED", "USER_NOT_FOUND", "CREDENTIALS_REJECTED"];

/** Makes a user of a key that nobody has; undefined for one that somebody has, or gets at the same time. */
async function makeUser(ports: SignInPorts, scope: WriteScope, input: PasswordInput): Promise<Proven | undefined> {
  const [known] = await findUserIds(ports.db, scope, [input.key]);
  if (known) return undefined;
  const change = await input.newProfile();
  await ports.attempts.admitNewUser(scope.projectId, addressPrefix(input.client.address), "user");
  const passwordHash = await ports.passwords.hash(input.password, scope.signal);
  try {
    return { userId: (await createUser(ports, scope, { change, guest: false, passwordHash })).id };
  } catch (error) {
    if (error instanceof MusterError && TAKEN.includes(error.reason)) return undefined;
    throw error;
  }
}

const TAKEN: readonly Reason[] = ["LOGIN_TAKEN", "LOCATOR_TAKEN"];
