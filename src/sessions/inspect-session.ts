import { MusterError } from "../errors.ts";
import type { TokenInspection } from "../tokens/tokens.ts";
import { getUser, type ProjectScope } from "../users/users.ts";
import { type AuthenticatePorts, authenticateSession } from "./authenticate-session.ts";

/** Says whether a session token is one of the scope's project whose session goes on; then it is prolonged. STORAGE_UNAVAILABLE. */
export async function inspectSession(
  ports: AuthenticatePorts,
  scope: ProjectScope,
  token: string,
): Promise<TokenInspection> {
  try {
    const { sessionId, userId, signInTime, expireTime } = await authenticateSession(ports, token, scope);
    const user = await getUser(ports.db, scope, { by: "id", value: userId });
    const [issuedAt, expiresAt] = [signInTime.getTime(), expireTime.getTime()];
    return { active: true, token: { tokenId: sessionId, userId, issuedAt, expiresAt }, user };
  } catch (error) {
    if (!(error instanceof MusterError) || error.reason === "STORAGE_UNAVAILABLE") throw error;
    return { active: false, reason: error.reason === "USER_SUSPENDED" ? error.reason : "SESSION_NOT_FOUND" };
  }
}
