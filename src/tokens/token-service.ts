import { durationMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { ErrorReason } from "../gen/muster/v1/error_reason_pb.ts";
import { type IssueTokenRequest, RotationMode, type TokenService } from "../gen/muster/v1/token_service_pb.ts";
import type { User } from "../gen/muster/v1/user_pb.ts";
import { inForm } from "../pulled-stream.ts";
import { type WatchRevocationsPorts, watchRevocations } from "../revocations/revocations.ts";
import { namedProject, projectCallerOf, scopeFor, scopeOf } from "../rpc/caller.ts";
import { userKeyOf } from "../users/user-ref-message.ts";
import type { ProjectScope, UserRow } from "../users/users.ts";
import { extendToken } from "./extend-token.ts";
import { getToken, type TokenWriteScope } from "./get-token.ts";
import { inspectToken, type TokenInspection } from "./inspect-token.ts";
import { type IssuedToken, type IssueTokenInput, type IssueTokenPorts, issueToken } from "./issue-token.ts";
import { listSigningKeys } from "./list-signing-keys.ts";
import { type ListTokensPorts, listTokens } from "./list-tokens.ts";
import type { LogoutLinks } from "./logout-links.ts";
import { watchMessage } from "./revocation-message.ts";
import { type RevocationPorts, revokeToken } from "./revoke-token.ts";
import { revokeUserTokens } from "./revoke-user-tokens.ts";
import { type RotateSigningKeyPorts, rotateSigningKey } from "./rotate-signing-key.ts";
import { signingKeyMessage, tokenMessage } from "./token-message.ts";
import type { VerifyTokenPorts } from "./verify-token.ts";

/** Where open streams are kept, so that the server can end them. */
export interface StreamPort {
  /** Adds the stream of a call: its signal aborts when the server ends it. Disposed when the stream is over. */
  open(call: Pick<HandlerContext, "values">): Disposable & { readonly signal: AbortSignal };
}

export interface TokenServicePorts
  extends IssueTokenPorts,
    VerifyTokenPorts,
    RotateSigningKeyPorts,
    RevocationPorts,
    ListTokensPorts,
    WatchRevocationsPorts {
  readonly streams: StreamPort;
  readonly logoutLinks: LogoutLinks;
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
  const acceptance = { supportedHeaders: [...acceptedIn.headers], supportedCookies: [...acceptedIn.cookies] };
  const logoutUrl = (context: HandlerContext, token: IssuedToken): string =>
    ports.logoutLinks.urlOf({ ...token, projectId: projectCallerOf(context).projectId });
  return {
    async issueToken(request, context) {
      const { signedToken, token } = await issueToken(ports, scopeOf(context), inputOf(request));
      return {
        signedToken,
        token: tokenMessage(token, clock.now()),
        ...acceptance,
        logoutUrl: logoutUrl(context, token),
      };
    },
    async extendToken({ tokenId, ttl }, context) {
      const caller = projectCallerOf(context);
      const calledWithIssuedAt = caller.kind === "user" ? caller.issuedAt : undefined;
      const input = { tokenId, ttlMs: ttl && durationMs(ttl), calledWithIssuedAt };
      const { signedToken, token } = await extendToken(ports, tokenScopeOf(context), input);
      return {
        signedToken,
        token: tokenMessage(token, clock.now()),
        ...acceptance,
        logoutUrl: logoutUrl(context, token),
      };
    },
    async getToken({ tokenId }, context) {
      return { token: tokenMessage(await getToken(ports, tokenScopeOf(context), tokenId), clock.now()) };
    },
    async listTokens({ ref, pageSize, pageToken }, context) {
      const input = { key: userKeyOf(ref), pageSize, pageToken };
      const { tokens, nextPageToken } = await listTokens(ports, scopeOf(context), input);
      return { tokens: tokens.map((token) => tokenMessage(token, clock.now())), nextPageToken };
    },
    async revokeToken({ tokenId }, context) {
      await revokeToken(ports, tokenScopeOf(context), tokenId);
      return {};
    },
    async revokeUserTokens({ ref }, context) {
      await revokeUserTokens(ports, scopeOf(context), userKeyOf(ref));
      return {};
    },
    watchRevocations({ resumeToken }, context) {
      const input = { projectId: projectCallerOf(context).projectId, resumeToken };
      const stream = ports.streams.open(context);
      const onOver = () => stream[Symbol.dispose]();
      const signals = { left: context.signal, ended: stream.signal, onOver };
      return inForm(watchRevocations(ports, input, signals), watchMessage);
    },
    async verifyToken({ token }, context) {
      const isSession = token.startsWith("mst_");
      const scope = scopeOf(context);
      const found = await (isSession ? ports.inspectSession(scope, token) : inspectToken(ports, scope, token));
      if (!found.active) return { active: false, reason: ErrorReason[found.reason] };
      return { active: true, token: tokenMessage(found.token, clock.now()), user: ports.userMessage(found.user) };
    },
    async rotateSigningKey({ projectId, mode }, context) {
      const scope = scopeFor(context, namedProject(context, projectId));
      const how = mode === RotationMode.REVOKE_ALL ? "REVOKE_ALL" : "GRACEFUL";
      return { key: signingKeyMessage(await rotateSigningKey(ports, scope, how)) };
    },
    async listSigningKeys({ projectId }, context) {
      const scope = scopeFor(context, namedProject(context, projectId));
      return { keys: (await listSigningKeys(ports, scope)).map(signingKeyMessage) };
    },
  };
}

/** A user reaches its own tokens only. */
function tokenScopeOf(context: HandlerContext): TokenWriteScope {
  const caller = projectCallerOf(context);
  return { ...scopeOf(context), ownerId: caller.kind === "user" ? caller.userId : undefined };
}

const inputOf = ({ ref, ttl, claims, audience, stateless }: IssueTokenRequest): IssueTokenInput => ({
  key: userKeyOf(ref),
  ttlMs: ttl && durationMs(ttl),
  claims,
  audience,
  stateless,
});
