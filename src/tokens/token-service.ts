import { durationMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { ErrorReason } from "../gen/muster/v1/error_reason_pb.ts";
import { type IssueTokenRequest, RotationMode, type TokenService } from "../gen/muster/v1/token_service_pb.ts";
import type { User } from "../gen/muster/v1/user_pb.ts";
import { namedProject, projectCallerOf } from "../rpc/caller.ts";
import { userKeyOf } from "../users/user-ref-message.ts";
import type { ProjectScope, UserRow } from "../users/users.ts";
import { inspectToken, type TokenInspection } from "./inspect-token.ts";
import { type IssueTokenInput, type IssueTokenPorts, issueToken } from "./issue-token.ts";
import { listSigningKeys } from "./list-signing-keys.ts";
import { type RotateSigningKeyPorts, rotateSigningKey } from "./rotate-signing-key.ts";
import { signingKeyMessage, tokenMessage } from "./token-message.ts";
import type { VerifyTokenPorts } from "./verify-token.ts";

export interface TokenServicePorts extends IssueTokenPorts, VerifyTokenPorts, RotateSigningKeyPorts {
  /** Where calls may carry a user's token. */
  readonly acceptedIn: { readonly headers: readonly string[]; readonly cookies: readonly string[] };
  /** Says of a session token what `inspectToken` says of a JWT. */
  inspectSession(scope: ProjectScope, token: string): Promise<TokenInspection>;
  /** The user as it goes on the wire. */
  userMessage(user: UserRow): User;
}

/** TokenService over its use cases, but for what stands on sessions. */
export function tokenService(ports: TokenServicePorts): Omit<ServiceImpl<typeof TokenService>, "refreshToken"> {
  const { clock, acceptedIn } = ports;
  return {
    async issueToken(request, context) {
      const { signedToken, token } = await issueToken(ports, scopeOf(context), inputOf(request));
      return {
        signedToken,
        token: tokenMessage(token, clock.now()),
        supportedHeaders: [...acceptedIn.headers],
        supportedCookies: [...acceptedIn.cookies],
      };
    },
    async verifyToken({ token }, context) {
      const isSession = token.startsWith("mst_");
      const scope = scopeOf(context);
      const found = await (isSession ? ports.inspectSession(scope, token) : inspectToken(ports, scope, token));
      if (!found.active) return { active: false, reason: ErrorReason[found.reason] };
      return { active: true, token: tokenMessage(found.token, clock.now()), user: ports.userMessage(found.user) };
    },
    async rotateSigningKey({ projectId, mode }, context) {
      const scope = { projectId: namedProject(context, projectId), signal: context.signal };
      const how = mode === RotationMode.REVOKE_ALL ? "REVOKE_ALL" : "GRACEFUL";
      return { key: signingKeyMessage(await rotateSigningKey(ports, scope, how)) };
    },
    async listSigningKeys({ projectId }, context) {
      const scope = { projectId: namedProject(context, projectId), signal: context.signal };
      return { keys: (await listSigningKeys(ports, scope)).map(signingKeyMessage) };
    },
  };
}

const scopeOf = (context: HandlerContext): ProjectScope => ({
  projectId: projectCallerOf(context).projectId,
  signal: context.signal,
});

const inputOf = ({ ref, ttl, claims, audience, stateless }: IssueTokenRequest): IssueTokenInput => ({
  key: userKeyOf(ref),
  ttlMs: ttl && durationMs(ttl),
  claims,
  audience,
  stateless,
});
