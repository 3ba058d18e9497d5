import type { WriteScope } from "../db/recorded.ts";
import { createUser } from "../users/users.ts";
import { addressPrefix } from "./attempts/address-prefix.ts";
import { type Client, createGrant, type SignedIn } from "./create-grant.ts";
import type { SignInPorts } from "./sign-in-password.ts";

/**
 * Signs in a new guest: a user without a password, which is deleted with all that is its own when its time is over. A crash between the two
 * steps leaves a guest that nobody can sign in as, for as long. PROJECT_NOT_FOUND, RATE_LIMITED.
 */
export async function signInGuest(
  ports: SignInPorts,
  scope: WriteScope,
  name: string,
  client: Client,
): Promise<SignedIn> {
  await ports.projects.get(scope.projectId);
  await ports.attempts.admitNewUser(scope.projectId, addressPrefix(client.address), "guest");
  const change = { fields: new Set(["name"] as const), values: name ? { name } : {} };
  const { id: userId } = await createUser(ports, scope, { change, guest: true });
  return createGrant(ports, scope, { userId, client });
}
