import type { HandlerContext } from "@connectrpc/connect";
import type { Clock } from "../clock.ts";
import { MusterError } from "../errors.ts";
import type { Grant as GrantMessage } from "../gen/muster/v1/session_pb.ts";
import type { User } from "../gen/muster/v1/user_pb.ts";
import type { Caller } from "../rpc/caller.ts";
import { CLIENT_ADDRESS } from "../rpc/client-address.ts";
import type { SessionCookies } from "../rpc/session-cookies.ts";
import type { UserRow } from "../users/users.ts";
import type { Client, SignedIn } from "./create-grant.ts";
import { grantMessage } from "./session-message.ts";

export interface GrantPorts {
  readonly clock: Clock;
  readonly cookies: SessionCookies;
  /** The user as it goes on the wire. */
  userMessage(user: UserRow): User;
}

/** What a call says of its client. Where `.system` calls, that is its own server, of whose users it says nothing. */
export const clientOf = (context: Pick<HandlerContext, "requestHeader" | "values">, { kind }: Caller): Client => ({
  userAgent: context.requestHeader.get("user-agent") ?? "",
  address: kind === "system" ? "" : context.values.get(CLIENT_ADDRESS),
});

/** The answer to who signed in or stays in, and the cookies of a page that may have them. ORIGIN_NOT_ALLOWED for one that wants no other. */
export async function grantAnswer(
  { clock, cookies, userMessage }: GrantPorts,
  context: HandlerContext,
  projectId: string,
  { user, grant }: SignedIn,
  cookieOnly: boolean,
): Promise<{ user: User; grant: GrantMessage }> {
  const now = clock.now();
  const { session, sessionToken, refreshToken } = grant;
  const given = await cookies.give(context, projectId, {
    sessionToken,
    sessionMs: session.endTime.getTime() - now,
    refreshToken,
    refreshMs: session.refreshExpireTime.getTime() - now,
  });
  if (cookieOnly && !given) throw new MusterError("ORIGIN_NOT_ALLOWED");
  return { user: userMessage(user), grant: grantMessage(grant, user.guest, cookieOnly) };
}
