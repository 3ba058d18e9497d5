import { MusterError } from "../errors.ts";
import { UUID } from "../ids.ts";
import type { HttpRoute, PlainRequest, PlainResponse } from "../rpc/plain-http.ts";
import type { Issuers } from "./issuer.ts";
import type { ProjectKey, SigningKeys } from "./signing-keys.ts";

export interface JwksPorts {
  readonly keys: SigningKeys;
  readonly issuers: Issuers;
}

/**
 * What anyone needs to verify a project's tokens: the JWKS (RFC 7517 §5) and the discovery document that points at it (OpenID
 * Connect Discovery 1.0 §4). Public, so pages of any origin may read them. Served from memory while the database is away.
 */
export function jwksRoutes({ keys, issuers }: JwksPorts): HttpRoute[] {
  const route = (name: string, documentOf: (projectId: string, keys: readonly ProjectKey[]) => object): HttpRoute => ({
    method: "GET",
    path: new RegExp(`^/projects/([^/]+)/\\.well-known/${name}$`),
    handle: (request) => answer(request, keys, documentOf),
  });
  return [
    route("jwks\\.json", (_projectId, known) => ({ keys: known.map((key) => key.jwk) })),
    route("openid-configuration", (projectId, known) => discovery(issuers.of(projectId), known)),
  ];
}

const PUBLIC = { "access-control-allow-origin": "*" };
const HEADERS = {
  ...PUBLIC,
  "content-type": "application/json",
  // Short, because a key that was revoked stays good to whoever keeps it. The shortest prepare time is twice as long.
  "cache-control": "public, max-age=30, stale-if-error=3600",
};

async function answer(
  { match }: PlainRequest,
  keys: SigningKeys,
  documentOf: (projectId: string, keys: readonly ProjectKey[]) => object,
): Promise<PlainResponse> {
  const projectId = match[1] ?? "";
  try {
    const known = UUID.test(projectId) ? await keys.list(projectId) : [];
    if (known.length === 0) return { status: 404, headers: PUBLIC };
    return { status: 200, headers: HEADERS, body: JSON.stringify(documentOf(projectId, known)) };
  } catch (error) {
    if (!(error instanceof MusterError) || error.reason !== "STORAGE_UNAVAILABLE") throw error;
    return { status: 503, headers: { ...PUBLIC, "retry-after": "1" } };
  }
}

/** Names only what is there: no endpoint for authorization or tokens, so no response types either. */
const discovery = (issuer: string, keys: readonly ProjectKey[]) => ({
  issuer,
  jwks_uri: `${issuer}/.well-known/jwks.json`,
  response_types_supported: [],
  subject_types_supported: ["public"],
  id_token_signing_alg_values_supported: [...new Set(keys.map((key) => key.alg))],
  claims_supported: ["iss", "sub", "aud", "iat", "exp", "jti", "ext"],
});
