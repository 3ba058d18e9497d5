import { MusterError, type Reason } from "../errors.ts";
import type { ProjectScope, UserRow } from "../users/users.ts";
import type { IssuedToken } from "./issue-token.ts";
import { readToken, type VerifyTokenPorts } from "./verify-token.ts";

/** Why a token is not valid. */
export type TokenRefusal = "TOKEN_EXPIRED" | "TOKEN_REVOKED" | "TOKEN_INVALID" | "SESSION_NOT_FOUND" | "USER_SUSPENDED";

export type TokenInspection =
  | { readonly active: true; readonly token: IssuedToken; readonly user: UserRow }
  | { readonly active: false; readonly reason: TokenRefusal };

/** Says whether a token is a valid one of the scope's project. That it is not is an answer. STORAGE_UNAVAILABLE. */
export async function inspectToken(
  ports: VerifyTokenPorts,
  scope: ProjectScope,
  token: string,
): Promise<TokenInspection> {
  try {
    const use = { projectId: scope.projectId, asCredential: false };
    const { verified, user } = await readToken(ports, token, use);
    return { active: true, token: verified, user: await user(scope.signal) };
  } catch (error) {
    const reason = error instanceof MusterError ? REFUSALS[error.reason] : undefined;
    if (reason) return { active: false, reason };
    throw error;
  }
}

/** A user that was deleted between one look and the next has taken its tokens along. */
const REFUSALS: { readonly [R in Reason]?: TokenRefusal } = {
  TOKEN_EXPIRED: "TOKEN_EXPIRED",
  TOKEN_REVOKED: "TOKEN_REVOKED",
  TOKEN_INVALID: "TOKEN_INVALID",
  USER_SUSPENDED: "USER_SUSPENDED",
  USER_NOT_FOUND: "TOKEN_REVOKED",
  USER_DELETED: "TOKEN_REVOKED",
};
