import { UnusableDocument } from "./remote/fetch-document.ts";
import { readJson } from "./remote/read-json.ts";
import type { RemotePorts } from "./remote/remote-document.ts";
import { createRemoteDocuments } from "./remote/remote-documents.ts";

/** What an OpenID provider says of itself (OpenID Connect Discovery 1.0 §3), as far as it is needed here. */
export interface OpenIdProvider {
  readonly issuer: string;
  /** Where its keys are. Whether it may be called is found out when it is. */
  readonly jwksUri: string;
}

/** What the issuers say of themselves, as this process knows it. */
export interface Discovery {
  /** As old as its answer lets it be, as key sets are. PROVIDER_UNAVAILABLE, also where what is there is no provider of this issuer. */
  providerOf(issuer: string, signal?: AbortSignal): Promise<OpenIdProvider>;
  /** As of now, as for an issuer that is being registered. PROVIDER_UNAVAILABLE, or UnusableDocument. */
  readProvider(issuer: string, signal?: AbortSignal): Promise<OpenIdProvider>;
}

const MAX_LENGTH = 1_024;

/** Makes the process's view; it asks an issuer when it is first asked about. */
export function createDiscovery(ports: RemotePorts): Discovery {
  // OpenID Connect Discovery 1.0 §4.1.
  const urlOf = (issuer: string) => `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  const documentOf = createRemoteDocuments(ports, { urlOf, read: readProvider });
  return {
    providerOf: (issuer, signal) => documentOf(issuer).get(signal),
    readProvider: (issuer, signal) => documentOf(issuer).getNow(signal),
  };
}

function readProvider(bytes: Uint8Array, asked: string): OpenIdProvider {
  const { issuer, jwks_uri: jwksUri } = readJson(bytes);
  if (typeof issuer !== "string" || !isUrl(jwksUri))
    throw new UnusableDocument("answers no discovery document of OpenID Connect");
  // §4.3: the very one that was asked, or a provider could speak for another.
  if (issuer !== asked) throw new UnusableDocument("names another issuer");
  return { issuer, jwksUri };
}

const isUrl = (value: unknown): value is string =>
  typeof value === "string" && value.length <= MAX_LENGTH && /^https?:$/.test(URL.parse(value)?.protocol ?? "");
