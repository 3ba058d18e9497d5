import { createUser, type ProjectScope } from "../users/users.ts";
import { type Client, createGrant, type SessionPorts, type SignedIn } from "./create-grant.ts";

/**
 * Signs in a new guest: a user without a password, which is deleted with all that is its own when its time is over. A crash between the two
 * steps leaves a guest that nobody can sign in as, for as long. PROJECT_NOT_FOUND.
 */
export async function signInGuest(
  ports: SessionPorts,
  scope: ProjectScope,
  name: string,
  client: Client,
): Promise<SignedIn> {
  await ports.projects.get(scope.projectId);
  const { id: userId } = await createUser(ports, scope, { profile: name ? { name } : {}, guest: true });
  return createGrant(ports, scope, { userId, client });
}
