import type { ServiceImpl } from "@connectrpc/connect";
import type { ExternalAuthService } from "../gen/muster/v1/external_auth_service_pb.ts";
import { projectCallerOf, scopeFor, scopeOf } from "../rpc/caller.ts";
import { signInProjectOf } from "../rpc/sign-in-project.ts";
import { clientOf, type GrantPorts, grantAnswer } from "../sessions/grant-message.ts";
import { explainExternalToken } from "./explain-external-token.ts";
import { explanationMessage } from "./explanation-message.ts";
import { externalKeyMessage, rotationOf } from "./external-key-message.ts";
import type { ExternalUsers } from "./external-users.ts";
import { rotateExternalKey } from "./keys/rotate-external-key.ts";
import { verifyExternalUser } from "./verify-external-user.ts";

/** The part of ExternalAuthService that stands on the keys of the customer's own system. */
type ExternalKeyService = Pick<
  ServiceImpl<typeof ExternalAuthService>,
  "verifyExternalUser" | "explainExternalToken" | "rotateExternalKey" | "listExternalKeys"
>;

/** The RPCs about external keys, and those that verify by them, over their use cases. */
export function externalKeyService(ports: ExternalUsers & GrantPorts): ExternalKeyService {
  return {
    async verifyExternalUser({ projectId: named, userJwt: token, cookieOnly }, context) {
      const { projectId, caller } = signInProjectOf(context, named);
      const input = { token, client: clientOf(context, caller) };
      const signedIn = await verifyExternalUser(ports, scopeFor(context, projectId), input);
      const answer = await grantAnswer(ports, context, projectId, signedIn, cookieOnly);
      return { ...answer, userCreated: signedIn.userCreated };
    },
    async explainExternalToken({ userJwt }, context) {
      return explanationMessage(await explainExternalToken(ports, scopeOf(context), userJwt), ports.userMessage);
    },
    async rotateExternalKey(request, context) {
      const { key, privateKeyPem = "" } = await rotateExternalKey(ports, scopeOf(context), rotationOf(request));
      return { key: externalKeyMessage(key), privateKeyPem };
    },
    async listExternalKeys(_request, context) {
      const keys = await ports.externalKeys.reload(projectCallerOf(context).projectId);
      return { keys: keys.map(externalKeyMessage) };
    },
  };
}
