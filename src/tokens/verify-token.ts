import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { MusterError } from "../errors.ts";
import { UUID } from "../ids.ts";
import type { ProjectDirectory } from "../projects/projects.ts";
import type { AccessMemory } from "../revocations/revocations.ts";
import { getUser, type UserRow } from "../users/users.ts";
import { isSignedBy } from "./is-signed-by.ts";
import type { Issuers } from "./issuer.ts";
import { checkClaims } from "./jwt-claims.ts";
import type { SignatureCache } from "./signature-cache.ts";
import type { SigningKeys } from "./signing-keys.ts";
import type { JsonObject } from "./strict-json.ts";
import { type JwtForm, type ParsedJwt, parseJwt, refused } from "./strict-jwt.ts";
import { checkStanding, standingUser } from "./token-standing.ts";
import type { VerifiedSignature } from "./verified-signature.ts";

/** What a token that is valid now says. */
export interface VerifiedToken {
  readonly projectId: string;
  readonly userId: string;
  /** The claim `jti`. */
  readonly tokenId: string;
  /** The session it was issued for, the claim `sid`, if any. */
  readonly sessionId: string | undefined;
  /** The key that signed it, its `kid`. */
  readonly keyId: string;
  /** The user's external id, the claim `ext`. */
  readonly externalId: string;
  /** Milliseconds since the epoch. */
  readonly issuedAt: number;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  readonly audience: readonly string[];
  /** All claims, registered ones included. */
  readonly claims: JsonObject;
}

/** Whom a token may be for. */
export interface TokenUse {
  /** Tokens of other projects are TOKEN_INVALID; without it any project of this instance will do. */
  readonly projectId?: string;
  /** Whether it is presented to Muster itself: then the project has to be among its audience. */
  readonly asCredential: boolean;
}

export interface VerifyTokenPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly projects: ProjectDirectory;
  readonly keys: SigningKeys;
  readonly issuers: Issuers;
  readonly signatures: SignatureCache<VerifiedSignature>;
  readonly memory: AccessMemory;
}

/** Access tokens (RFC 9068 §2.1) and nothing else that a key of the project may have signed. */
export const ACCESS_TOKEN_TYPE = "at+jwt";
const FORM: JwtForm = { type: ACCESS_TOKEN_TYPE };

/**
 * Checks a JWT: form, key, signature, claims, and last whether its user is still there, neither it nor all that the user
 * had was revoked, and no suspension blocks the user's sign-in. The last is asked again when something of it has ended, or that is not
 * known, and after a minute. TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_REVOKED, USER_SUSPENDED; STORAGE_UNAVAILABLE.
 */
export async function verifyToken(
  ports: VerifyTokenPorts,
  token: string,
  use: TokenUse,
  signal?: AbortSignal,
): Promise<VerifiedToken> {
  const { verified, stands } = await readToken(ports, token, use);
  await stands(signal);
  return verified;
}

/** What a token says that is of the right form, signed by one of our keys and within its time. */
export interface ReadToken {
  readonly verified: VerifiedToken;
  /** Resolves if neither it nor its user's access has ended. TOKEN_REVOKED, USER_SUSPENDED; STORAGE_UNAVAILABLE. */
  stands(signal: AbortSignal | undefined): Promise<void>;
  /** The same, and gives the user as it is now. Also USER_NOT_FOUND and USER_DELETED, for one that went this moment. */
  user(signal: AbortSignal | undefined): Promise<UserRow>;
}

/** All of `verifyToken` but whether the token stands. TOKEN_INVALID, TOKEN_EXPIRED; STORAGE_UNAVAILABLE. */
export async function readToken(ports: VerifyTokenPorts, token: string, use: TokenUse): Promise<ReadToken> {
  const known = ports.signatures.get(token);
  const jwt = known?.jwt ?? parseJwt(token, FORM);
  const projectId = ports.issuers.projectOf(jwt.claims.iss);
  if (!projectId || (use.projectId !== undefined && use.projectId !== projectId)) throw refused("iss is not ours");
  const signature = await verifySignature(ports, projectId, token, jwt, known);
  const verified = await checkedToken(ports, projectId, jwt, use.asCredential);
  const isKnownToStand = () => signature.stoodAt !== undefined && ports.memory.holds(verified, signature.stoodAt);
  /** What is remembered is as of before the database was asked. */
  const remembered = async <T>(ask: () => Promise<T>): Promise<T> => {
    const mark = ports.memory.mark();
    const answer = await ask();
    signature.stoodAt = mark;
    return answer;
  };
  return {
    verified,
    async stands(signal) {
      if (!isKnownToStand()) await remembered(() => checkStanding(ports, verified, signal));
    },
    user: (signal) =>
      isKnownToStand()
        ? getUser(ports.db, { projectId, signal }, { by: "id", value: verified.userId })
        : remembered(() => standingUser(ports, verified, signal)),
  };
}

async function verifySignature(
  { keys, signatures }: VerifyTokenPorts,
  projectId: string,
  token: string,
  jwt: ParsedJwt,
  known: VerifiedSignature | undefined,
): Promise<VerifiedSignature> {
  if (!jwt.keyId || !UUID.test(jwt.keyId)) throw refused("header: kid is missing");
  const key = await keys.find(projectId, jwt.keyId);
  if (!key) throw refused("no such key");
  if (key.alg !== jwt.algorithm) throw refused("alg is not the key's");
  if (known?.key === key.verifyingKey) return known;
  if (!(await isSignedBy(token, key))) throw refused("signature: it is not the key's");
  const verified = { jwt, key: key.verifyingKey, stoodAt: undefined };
  signatures.put(token, verified);
  return verified;
}

async function checkedToken(
  { clock, projects, issuers }: VerifyTokenPorts,
  projectId: string,
  { claims, keyId }: ParsedJwt,
  asCredential: boolean,
): Promise<VerifiedToken> {
  const { settings } = await projects.get(projectId).catch(refuseUnknownProject);
  const { subject, audience, issuedAt, expiresAt } = checkClaims(claims, {
    issuer: issuers.of(projectId),
    ...(asCredential && { audience: projectId }),
    maxLifetimeMs: settings.tokenTtlMaxMs,
    nowMs: clock.now(),
  });
  const { jti, sid, ext } = claims;
  if (typeof jti !== "string" || !UUID.test(jti) || !UUID.test(subject)) throw refused("jti or sub is not an id");
  if (sid !== undefined && (typeof sid !== "string" || !UUID.test(sid))) throw refused("sid is not an id");
  if (typeof ext !== "string" || issuedAt === undefined || keyId === undefined) throw refused("ext or iat is missing");
  const ids = { projectId, userId: subject, tokenId: jti, sessionId: sid, keyId };
  return { ...ids, externalId: ext, issuedAt, expiresAt, audience, claims };
}

function refuseUnknownProject(error: unknown): never {
  if (error instanceof MusterError && error.reason === "PROJECT_NOT_FOUND") throw refused("no such project");
  throw error;
}
