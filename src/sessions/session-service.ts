import type { ServiceImpl } from "@connectrpc/connect";
import type { WriteScope } from "../db/recorded.ts";
import { MusterError } from "../errors.ts";
import type { CreateSessionRequest, SessionService } from "../gen/muster/v1/session_service_pb.ts";
import { type ProjectCaller, projectCallerOf, scopeFor, scopeOf } from "../rpc/caller.ts";
import { signInProjectOf } from "../rpc/sign-in-project.ts";
import { userKeyOf } from "../users/user-ref-message.ts";
import type { UserKey } from "../users/users.ts";
import { changePassword } from "./change-password.ts";
import type { Client } from "./create-grant.ts";
import { endOtherSessions, endSession } from "./end-session.ts";
import { clientOf, type GrantPorts, grantAnswer } from "./grant-message.ts";
import { getSession, type ListPorts, listSessions } from "./list-sessions.ts";
import { inOwnFields, type ProfilePorts, profileOf, signUpChange } from "./profile-message.ts";
import { type ResetPorts, requestPasswordReset } from "./request-password-reset.ts";
import { resetPassword } from "./reset-password.ts";
import { sessionMessage } from "./session-message.ts";
import { signInGuest } from "./sign-in-guest.ts";
import { signInWithPassword } from "./sign-in-password.ts";
import { signUp } from "./sign-up.ts";

export interface SessionServicePorts extends GrantPorts, ResetPorts, ListPorts, ProfilePorts {}

/** SessionService over its use cases. */
export function sessionService(ports: SessionServicePorts): ServiceImpl<typeof SessionService> {
  return {
    async signUp(request, context) {
      const { projectId, caller } = signInProjectOf(context, request.projectId);
      const { login, email, user, password, cookieOnly } = request;
      const change = await signUpChange(ports, { login, email, user }, caller.kind === "system");
      const callerId = caller.kind === "user" ? caller.userId : undefined;
      const input = { change, password, callerId, client: clientOf(context, caller) };
      const signedIn = await inOwnFields(request, signUp(ports, scopeFor(context, projectId), input));
      return grantAnswer(ports, context, projectId, signedIn, cookieOnly);
    },
    async createSession({ projectId: named, credential, cookieOnly }, context) {
      const { projectId, caller } = signInProjectOf(context, named);
      const scope = scopeFor(context, projectId);
      const signedIn = await signIn(ports, scope, credential, clientOf(context, caller));
      const { userCreated } = signedIn;
      return { ...(await grantAnswer(ports, context, projectId, signedIn, cookieOnly)), userCreated };
    },
    async changePassword({ oldPassword, password }, context) {
      const caller = projectCallerOf(context);
      const userId = ownerOf(caller) ?? "";
      const input = {
        userId,
        sessionId: sessionIdOf(caller),
        oldPassword,
        password,
        client: clientOf(context, caller),
      };
      return { user: ports.userMessage(await changePassword(ports, scopeOf(context), input)) };
    },
    async requestPasswordReset({ projectId: named, email }, context) {
      const { projectId, caller } = signInProjectOf(context, named);
      await requestPasswordReset(ports, scopeFor(context, projectId), email, clientOf(context, caller).address);
      return {};
    },
    async resetPassword({ projectId: named, token, password }, context) {
      const { projectId } = signInProjectOf(context, named);
      await resetPassword(ports, scopeFor(context, projectId), token, password);
      return {};
    },
    async getSession({ sessionId }, context) {
      const caller = projectCallerOf(context);
      const session = await getSession(ports, scopeOf(context), sessionId || currentOf(caller), ownerOf(caller));
      return { session: sessionMessage(session, sessionIdOf(caller)) };
    },
    async listSessions({ ref, ...page }, context) {
      const current = sessionIdOf(projectCallerOf(context));
      const { sessions, nextPageToken } = await listSessions(ports, scopeOf(context), userKeyOf(ref), page);
      return { sessions: sessions.map((session) => sessionMessage(session, current)), nextPageToken };
    },
    async deleteSession({ sessionId, others }, context) {
      const caller = projectCallerOf(context);
      const id = sessionId || currentOf(caller);
      if (others) await endOtherSessions(ports, scopeOf(context), id, ownerOf(caller));
      else await endSession(ports, scopeOf(context), id, ownerOf(caller));
      if (!others && id === sessionIdOf(caller)) await ports.cookies.take(context, caller.projectId);
      return {};
    },
  };
}

/** Signs in by what is sent. An unset credential was refused before. */
async function signIn(
  ports: SessionServicePorts,
  scope: WriteScope,
  credential: CreateSessionRequest["credential"],
  client: Client,
) {
  if (credential.case !== "password")
    return { ...(await signInGuest(ports, scope, credential.value?.name ?? "", client)), userCreated: true };
  const { identifier, password } = credential.value;
  const key: UserKey = { by: identifier.case ?? "login", value: identifier.value ?? "" };
  const newProfile = () => profileOf(ports, key);
  return signInWithPassword(ports, scope, { key, password, client, newProfile });
}

const sessionIdOf = (caller: ProjectCaller): string | undefined =>
  caller.kind === "user" ? caller.sessionId : undefined;

/** Whose sessions the caller may touch; undefined: everyone's of the project. */
const ownerOf = (caller: ProjectCaller): string | undefined => (caller.kind === "user" ? caller.userId : undefined);

function currentOf(caller: ProjectCaller): string {
  const id = sessionIdOf(caller);
  if (id === undefined) throw new MusterError("SESSION_NOT_FOUND");
  return id;
}
