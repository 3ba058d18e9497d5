import type { ServiceImpl } from "@connectrpc/connect";
import { MusterError } from "../errors.ts";
import type { ExternalAuthService, LinkIdentityRequest } from "../gen/muster/v1/external_auth_service_pb.ts";
import { scopeFor, scopeOf } from "../rpc/caller.ts";
import { signInProjectOf } from "../rpc/sign-in-project.ts";
import { clientOf, type GrantPorts, grantAnswer } from "../sessions/grant-message.ts";
import { userKeyOf } from "../users/user-ref-message.ts";
import { type LinkInput, linkIdentity } from "./identities/link-identity.ts";
import { listIdentities } from "./identities/list-identities.ts";
import { type ProviderSignInPorts, signInWithProvider } from "./identities/sign-in-with-provider.ts";
import { type UnlinkPorts, unlinkIdentity } from "./identities/unlink-identity.ts";
import { identityMessage } from "./identity-message.ts";

export interface IdentityServicePorts extends GrantPorts, ProviderSignInPorts, UnlinkPorts {}

type Methods = "signInWithProvider" | "linkIdentity" | "listIdentities" | "unlinkIdentity";

/** The part of ExternalAuthService that is about identities. */
export function identityService(ports: IdentityServicePorts): Pick<ServiceImpl<typeof ExternalAuthService>, Methods> {
  return {
    async signInWithProvider({ projectId: named, provider: providerId, credential, nonce, cookieOnly }, context) {
      const { projectId, caller } = signInProjectOf(context, named);
      const scope = scopeFor(context, projectId);
      const input = { providerId, credential, nonce, client: clientOf(context, caller) };
      const signedIn = await signInWithProvider(ports, scope, input);
      const { userCreated } = signedIn;
      return { ...(await grantAnswer(ports, context, projectId, signedIn, cookieOnly)), userCreated };
    },
    async linkIdentity(request, context) {
      const { ref, provider: providerId } = request;
      const input = { key: userKeyOf(ref), providerId, proof: proofOf(request) };
      return { identity: identityMessage(await linkIdentity(ports, scopeOf(context), input)) };
    },
    async listIdentities({ ref }, context) {
      const identities = await listIdentities(ports, scopeOf(context), userKeyOf(ref));
      return { identities: identities.map(identityMessage) };
    },
    async unlinkIdentity({ ref, provider: providerId, subject }, context) {
      await unlinkIdentity(ports, scopeOf(context), { key: userKeyOf(ref), providerId, subject });
      return {};
    },
  };
}

/** An unset proof, and a user that names a subject, were refused before. */
function proofOf({ proof, nonce }: LinkIdentityRequest): LinkInput["proof"] {
  if (proof.case === "subject") return { subject: proof.value };
  if (proof.case === "credential") return { credential: proof.value, nonce };
  throw new MusterError("REQUEST_INVALID");
}
