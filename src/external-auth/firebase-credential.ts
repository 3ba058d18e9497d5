import type { Clock } from "../clock.ts";
import { CLOCK_LEEWAY_MS, checkSubject, checkTimes } from "../tokens/jwt-claims.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../tokens/strict-json.ts";
import { credentialRefused, readAsCredential } from "./credential-refused.ts";
import type { ProvenUser } from "./proven-user.ts";
import type { FirebaseConfig } from "./providers/provider.ts";
import type { RemoteKeySets } from "./remote-key-sets.ts";
import { parseIdToken, requireSignature } from "./signed-credential.ts";
import { toldProfile } from "./told-profile.ts";

export interface FirebasePorts {
  readonly clock: Clock;
  readonly keySets: RemoteKeySets;
}

const GOOGLES_KEYS = "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com";
const MOST_SUBJECT_CHARACTERS = 128;

/** How Firebase calls what a user proved itself by. An email link is `password` too: both prove the email to Firebase. */
const METHODS: Readonly<Record<string, "PHONE" | "EMAIL">> = { phone: "PHONE", password: "EMAIL", emailLink: "EMAIL" };

/**
 * Whom a Firebase ID token proves, by the rules of "Verify ID tokens using a third-party JWT library" of Firebase's documentation: so that
 * the unsigned ones of its emulator never do. EXTERNAL_JWT_INVALID, PROVIDER_UNAVAILABLE.
 */
export async function verifyFirebaseToken(
  { clock, keySets }: FirebasePorts,
  config: FirebaseConfig,
  credential: string,
  signal: AbortSignal | undefined,
): Promise<ProvenUser> {
  const jwt = parseIdToken(credential);
  if (jwt.algorithm !== "RS256") throw credentialRefused("alg is not RS256");
  if (jwt.keyId === undefined) throw credentialRefused("kid is missing");
  const subject = readAsCredential(() => checkFirebaseToken(jwt.claims, config, clock.now()));
  await requireSignature(keySets.keySetAt(config.keysUri || GOOGLES_KEYS), credential, jwt, signal);
  return { subject, userData: profileOf(jwt.claims) };
}

/** Holds the claims to the rules, and gives the subject. */
function checkFirebaseToken(claims: JsonObject, config: FirebaseConfig, nowMs: number): string {
  const { firebaseProjectId } = config;
  if (claims["iss"] !== `https://securetoken.google.com/${firebaseProjectId}`)
    throw credentialRefused("iss is another issuer");
  if (claims["aud"] !== firebaseProjectId) throw credentialRefused("aud is another Firebase project");
  const { issuedAt } = checkTimes(claims, { nowMs, expiryLeewayMs: CLOCK_LEEWAY_MS });
  if (issuedAt === undefined) throw credentialRefused("iat is missing");
  const { auth_time: authTime } = claims;
  if (typeof authTime !== "number" || authTime * 1_000 > nowMs + CLOCK_LEEWAY_MS)
    throw credentialRefused("auth_time is missing, or in the future");
  checkMethod(claims["firebase"], config);
  const subject = checkSubject(claims);
  if (subject.length > MOST_SUBJECT_CHARACTERS) throw credentialRefused("sub is longer than Firebase has them");
  return subject;
}

function checkMethod(firebase: JsonValue | undefined, { methods }: FirebaseConfig): void {
  if (!isJsonObject(firebase)) throw credentialRefused("the claim firebase is missing");
  // A tenant is a user base of its own, whose uids and verified addresses its own administrators answer for.
  if (firebase["tenant"] !== undefined) throw credentialRefused("it is of a tenant");
  const name = firebase["sign_in_provider"];
  const method = typeof name === "string" && Object.hasOwn(METHODS, name) ? METHODS[name] : undefined;
  if (!method || (methods.length > 0 && !methods.includes(method)))
    throw credentialRefused("the user signed in by a method that is not taken");
}

/** Firebase has no phone numbers but those that it has verified. */
const profileOf = (claims: JsonObject): JsonObject =>
  toldProfile({
    name: claims["name"],
    email: claims["email"],
    emailVerified: claims["email_verified"],
    phone: claims["phone_number"],
    avatarUrl: claims["picture"],
  });
