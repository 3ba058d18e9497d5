import { invalid, MusterError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { ProjectScope } from "../users/users.ts";
import { SPARED } from "./credential-refused.ts";
import { type FirebasePorts, verifyFirebaseToken } from "./firebase-credential.ts";
import { type HttpPorts, verifyByHttp } from "./http-credential.ts";
import { type OidcPorts, verifyIdToken } from "./oidc-credential.ts";
import type { ProvenUser } from "./proven-user.ts";
import type { Provider } from "./providers/provider.ts";
import type { ProviderDirectory } from "./providers/provider-directory.ts";

/** What a provider gave a user, as it is presented. */
export interface Presented {
  /** Up to 16 KiB. */
  readonly credential: string;
  /** What the app sent to the OpenID provider; empty: nothing. */
  readonly nonce: string;
}

export interface CredentialPorts extends OidcPorts, FirebasePorts, HttpPorts {
  readonly logger: Logger;
}

/**
 * Whom a credential of a provider proves. EXTERNAL_JWT_INVALID for one that does not hold: why, only the log says. PROVIDER_UNAVAILABLE;
 * REQUEST_INVALID for a nonce that the provider could not have been sent.
 */
export async function verifyCredential(
  ports: CredentialPorts,
  { signal }: ProjectScope,
  provider: Provider,
  presented: Presented,
): Promise<ProvenUser> {
  const { config, projectId, id } = provider;
  if (presented.nonce !== "" && config.kind !== "OIDC") throw invalid("nonce", "is for OpenID Connect providers only");
  try {
    if (config.kind === "OIDC") return await verifyIdToken(ports, config, presented, signal);
    if (config.kind === "FIREBASE") return await verifyFirebaseToken(ports, config, presented.credential, signal);
    return await verifyByHttp(ports, { ...provider, config }, presented.credential, signal);
  } catch (error) {
    if (error instanceof MusterError) {
      const why = error.extra.cause instanceof Error ? error.extra.cause.message : error.reason;
      const level = error.reason === "PROVIDER_UNAVAILABLE" && why !== SPARED ? "warn" : "debug";
      ports.logger[level]({ project_id: projectId, provider: id, why }, "a credential of a provider proved nobody");
    }
    throw error;
  }
}

/** Whom a credential proves, by the id of its provider. PROVIDER_NOT_FOUND, also for one that is disabled, and what `verifyCredential` throws. */
export type ProveUser = (scope: ProjectScope, providerId: string, presented: Presented) => Promise<ProvenUser>;

export const createProveUser =
  (ports: CredentialPorts & { readonly providers: ProviderDirectory }): ProveUser =>
  async (scope, providerId, presented) =>
    verifyCredential(ports, scope, await ports.providers.get(scope.projectId, providerId), presented);
