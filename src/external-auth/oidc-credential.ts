import { createHash } from "node:crypto";
import type { Clock } from "../clock.ts";
import { CLOCK_LEEWAY_MS, checkAudience, checkSubject, checkTimes } from "../tokens/jwt-claims.ts";
import type { JsonObject, JsonValue } from "../tokens/strict-json.ts";
import { credentialRefused, readAsCredential } from "./credential-refused.ts";
import type { Discovery } from "./discovery.ts";
import type { ProvenUser } from "./proven-user.ts";
import type { OidcConfig } from "./providers/provider.ts";
import type { RemoteKeySets } from "./remote-key-sets.ts";
import { parseIdToken, requireSignature } from "./signed-credential.ts";
import { toldProfile } from "./told-profile.ts";

export interface OidcPorts {
  readonly clock: Clock;
  readonly discovery: Discovery;
  readonly keySets: RemoteKeySets;
}

/**
 * Whom an ID token proves (OpenID Connect Core 1.0 §3.1.3.7). Nobody is asked for keys on behalf of one that says the wrong things.
 * EXTERNAL_JWT_INVALID, PROVIDER_UNAVAILABLE.
 */
export async function verifyIdToken(
  { clock, discovery, keySets }: OidcPorts,
  config: OidcConfig,
  { credential, nonce }: { readonly credential: string; readonly nonce: string },
  signal: AbortSignal | undefined,
): Promise<ProvenUser> {
  const jwt = parseIdToken(credential);
  const subject = readAsCredential(() => checkIdToken(jwt.claims, config, nonce, clock.now()));
  const { jwksUri } = await discovery.providerOf(config.issuer, signal);
  await requireSignature(keySets.keySetAt(jwksUri), credential, jwt, signal);
  return { subject, userData: profileOf(jwt.claims) };
}

/** Holds the claims to the rules, and gives the subject. */
function checkIdToken(claims: JsonObject, config: OidcConfig, nonce: string, nowMs: number): string {
  if (claims["iss"] !== config.issuer) throw credentialRefused("iss is another issuer");
  checkParties(
    claims,
    [config.clientId, ...config.audiences].filter((name) => name !== ""),
  );
  const { issuedAt } = checkTimes(claims, { nowMs, expiryLeewayMs: CLOCK_LEEWAY_MS });
  if (issuedAt === undefined) throw credentialRefused("iat is missing");
  checkNonce(claims["nonce"], nonce);
  return checkSubject(claims);
}

/** Whom it is for, and whom it was given to: both have to be the app. */
function checkParties(claims: JsonObject, ours: readonly string[]): void {
  const audience = checkAudience(claims, undefined);
  if (!audience.some((name) => ours.includes(name))) throw credentialRefused("aud holds none of the client ids");
  const { azp } = claims;
  if (azp === undefined && audience.length > 1) throw credentialRefused("aud holds several, and azp is missing");
  if (azp !== undefined && !(typeof azp === "string" && ours.includes(azp)))
    throw credentialRefused("azp is none of the client ids");
}

/** Apple and Supabase have apps send the provider the hash of the nonce, and keep the nonce for the server. */
function checkNonce(claim: JsonValue | undefined, nonce: string): void {
  if (nonce === "") {
    if (claim !== undefined) throw credentialRefused("it has a nonce, and none was given");
    return;
  }
  const hash = createHash("sha256").update(nonce).digest("hex");
  if (claim !== nonce && !(typeof claim === "string" && claim.toLowerCase() === hash))
    throw credentialRefused("nonce is another one");
}

/** OpenID Connect Core 1.0 §5.1. `preferred_username` is no login: it need not be unique, nor stay the same. */
function profileOf({ name, given_name: given, family_name: family, ...claims }: JsonObject): JsonObject {
  const parts = [given, family].filter((part) => typeof part === "string" && part !== "");
  return toldProfile({
    name: typeof name === "string" && name !== "" ? name : parts.join(" "),
    email: claims["email"],
    emailVerified: claims["email_verified"],
    avatarUrl: claims["picture"],
  });
}
