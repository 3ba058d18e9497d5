import type { WriteScope } from "../../db/recorded.ts";
import { query } from "../../db/statement.ts";
import { MusterError } from "../../errors.ts";
import { type Client, createGrant, type SessionPorts, type SignedIn } from "../../sessions/sessions.ts";
import type { AttributeDefinitions } from "../../users/users.ts";
import type { ProfilePorts, ProvenUser } from "../proven-user.ts";
import type { Presented } from "../verify-credential.ts";
import { createWithIdentity, type Refused } from "./create-with-identity.ts";
import { FIND_IDENTITY, type FoundIdentity, SIGN_IN_EVERY_MS, TOUCH_IDENTITY } from "./identity-statements.ts";
import { linkByEmail } from "./link-by-email.ts";
import type { IdentityPorts } from "./link-identity.ts";
import { linkingEmail, type ProvenIdentity, provenIdentity } from "./proven-identity.ts";

export interface ProviderSignInPorts extends IdentityPorts, SessionPorts, ProfilePorts {
  readonly attributes: AttributeDefinitions;
}

/** Who wants to sign in. */
export interface ProviderSignIn extends Presented {
  readonly providerId: string;
  readonly client: Client;
}

/** An identity that is proven, in the project where it is. */
export interface ProvenSignIn {
  readonly identity: ProvenIdentity;
  readonly proven: ProvenUser;
  /** The email whose holder it may be linked to; undefined: nobody's. */
  readonly emailKey: string | undefined;
}

/**
 * Signs in the user whom a credential of a provider proves, by its identity alone; makes it, without a password, where nobody has that identity, or
 * links it to the holder of the email where the project says so. PROVIDER_NOT_FOUND, EXTERNAL_JWT_INVALID, PROVIDER_UNAVAILABLE,
 * IDENTITY_CONFLICT, IDENTITIES_FULL, LOGIN_TAKEN, REQUEST_INVALID, USER_SUSPENDED, USER_NOT_FOUND, PROJECT_NOT_FOUND.
 */
export async function signInWithProvider(
  ports: ProviderSignInPorts,
  scope: WriteScope,
  { providerId, client, ...presented }: ProviderSignIn,
): Promise<SignedIn & { readonly userCreated: boolean }> {
  const { settings } = await ports.projects.get(scope.projectId);
  const proven = await ports.proveUser(scope, providerId, presented);
  const identity = provenIdentity(providerId, proven);
  const emailKey = settings.linkByVerifiedEmail ? linkingEmail(identity) : undefined;
  const { userId, userCreated } = await settle(ports, scope, { identity, proven, emailKey });
  return { ...(await createGrant(ports, scope, { userId, client })), userCreated };
}

interface Settled {
  readonly userId: string;
  readonly userCreated: boolean;
}

/** How often others may come first: a user that is made or deleted, an email or a phone that somebody takes. */
const MOST_TRIES = 8;

/** The user that an identity is one of. What others do at the same time has it look again: of any number of first sign-ins one makes the user. */
async function settle(ports: ProviderSignInPorts, scope: WriteScope, signIn: ProvenSignIn): Promise<Settled> {
  const refused: Refused = new Map();
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const userId = await findUser(ports, scope, signIn);
    if (userId) return { userId, userCreated: false };
    const loginTaken = refused.get("username");
    if (loginTaken) throw loginTaken;
    const made = await createWithIdentity(ports, scope, signIn, refused);
    if (made) return { userId: made, userCreated: true };
  }
  throw new MusterError("CONFLICT");
}

/** The user that has an identity, or is given it by its email; undefined: nobody has. */
async function findUser(
  ports: ProviderSignInPorts,
  scope: WriteScope,
  signIn: ProvenSignIn,
): Promise<string | undefined> {
  const { identity, emailKey } = signIn;
  const now = ports.clock.now();
  const values = [scope.projectId, identity.providerId, identity.subject, new Date(now), emailKey ?? null];
  const [found] = await query<FoundIdentity & Record<string, unknown>>(
    ports.db.pool,
    FIND_IDENTITY,
    values,
    scope.signal,
  );
  if (!found) throw new Error("a statement that gives a row gave none");
  const { userId, holderId } = found;
  if (found.suspended || (!userId && found.holderSuspended)) throw new MusterError("USER_SUSPENDED");
  if (userId && holderId && holderId !== userId) throw new MusterError("IDENTITY_CONFLICT");
  if (userId) await touch(ports, scope, { ...found, userId }, identity, now);
  if (userId || !holderId || !emailKey) return userId ?? undefined;
  return (await linkByEmail(ports, scope, holderId, identity, emailKey)) ? holderId : undefined;
}

/** Keeps what the provider says now, and that the user signed in, at most once a minute. */
async function touch(
  { db }: ProviderSignInPorts,
  scope: WriteScope,
  found: FoundIdentity & { readonly userId: string },
  { providerId, subject, email, emailVerified }: ProvenIdentity,
  now: number,
): Promise<void> {
  const lately = new Date(now - SIGN_IN_EVERY_MS);
  const isSame = found.email === email && found.emailVerified === emailVerified;
  if (isSame && found.lastSignInTime && found.lastSignInTime > lately) return;
  const values = [scope.projectId, providerId, subject, found.userId, email, emailVerified, new Date(now), lately];
  await query(db.pool, TOUCH_IDENTITY, values, scope.signal);
}
