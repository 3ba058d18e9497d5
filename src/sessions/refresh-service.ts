import type { ServiceImpl } from "@connectrpc/connect";
import { MusterError } from "../errors.ts";
import { RefreshOutcome, type TokenService } from "../gen/muster/v1/token_service_pb.ts";
import { scopeFor } from "../rpc/caller.ts";
import { signInProjectOf } from "../rpc/sign-in-project.ts";
import type { SessionPorts } from "./create-grant.ts";
import type { EndPorts } from "./end-session.ts";
import { type GrantPorts, grantAnswer } from "./grant-message.ts";
import { refreshSession } from "./refresh-session.ts";

/** The part of TokenService that stands on sessions. */
export function refreshService(
  ports: GrantPorts & SessionPorts & EndPorts,
): Pick<ServiceImpl<typeof TokenService>, "refreshToken"> {
  return {
    async refreshToken(request, context) {
      const { projectId } = signInProjectOf(context, request.projectId);
      const token = request.refreshToken || (await ports.cookies.refreshTokenOf(context, projectId));
      if (!token) throw new MusterError("SESSION_NOT_FOUND");
      const refreshed = await refreshSession(ports, scopeFor(context, projectId), token);
      const answer = await grantAnswer(ports, context, projectId, refreshed, request.cookieOnly);
      return { ...answer, outcome: RefreshOutcome[refreshed.outcome] };
    },
  };
}
