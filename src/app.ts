import type { ConnectRouter, Interceptor } from "@connectrpc/connect";
import { auditJobs } from "./audit/audit-jobs.ts";
import { createSealKeys } from "./audit/seal-keys.ts";
import { eventJobs } from "./events/event-jobs.ts";
import { externalJobs } from "./external-auth/external-jobs.ts";
import { createFeatures, type FeaturePorts, type Features } from "./features.ts";
import { createJobs } from "./jobs/jobs.ts";
import { plainRoutes } from "./plain-routes.ts";
import { presenceJobs } from "./presence/presence-jobs.ts";
import { createKnownOrigins } from "./projects/known-origins.ts";
import type { VerifiedAccessKey } from "./projects/verify-access-key.ts";
import { revocationJobs } from "./revocations/revocation-jobs.ts";
import { rulesOf } from "./rpc/access.ts";
import type { Caller } from "./rpc/caller.ts";
import { equalSecrets } from "./rpc/constant-time.ts";
import type { MayReadEntry } from "./rpc/field-access.ts";
import { createGate, type Gate } from "./rpc/gate.ts";
import { type ChainPorts, interceptors } from "./rpc/interceptors.ts";
import { OPEN_SERVICES } from "./rpc/open-services.ts";
import type { HttpRoute } from "./rpc/plain-http.ts";
import { warmUp } from "./rpc/validate.ts";
import { pageOrigins, registerServices, SERVICES } from "./services.ts";
import type { LiveSession } from "./sessions/authenticate-session.ts";
import { sessionJobs } from "./sessions/session-jobs.ts";
import { tokenJobs } from "./tokens/token-jobs.ts";
import { type DefinitionsByKey, mayRead } from "./users/attribute-definitions.ts";
import { userJobs } from "./users/user-jobs.ts";
import { userKeyOf } from "./users/user-ref-message.ts";
import { findUserIds } from "./users/users.ts";
import { firstUndelivered } from "./webhooks/deliveries/first-undelivered.ts";
import { deliveryJobs } from "./webhooks/delivery-jobs.ts";

/** The features, wired: everything but a port. */
export interface App extends AsyncDisposable {
  /** Registers the services of the contract. */
  readonly routes: (router: ConnectRouter) => void;
  readonly interceptors: Interceptor[];
  readonly gate: Gate;
  readonly httpRoutes: readonly HttpRoute[];
  /** Whether some project lists the origin. */
  isKnownOrigin(origin: string): Promise<boolean>;
}

/** Wires the features. Disposing the app ends what they run; the database is left open. */
export async function createApp(ports: FeaturePorts): Promise<App> {
  await using resources = new AsyncDisposableStack();
  const features = await createFeatures(ports, resources);
  gauges(ports.metrics, features);
  const chain = chainPorts(ports, features);
  warmUp(
    features.check,
    [...chain.rules.keys()].map((method) => method.input),
  );
  const { announceEnd } = features.revocations;
  const { announceDeletion } = features.presence;
  const jobs = [
    ...userJobs({ ...ports, ...features, announceEnd, announceDeletion }),
    ...features.avatars.jobs,
    ...tokenJobs(ports),
    ...sessionJobs(ports),
    ...externalJobs(ports),
    ...revocationJobs(ports),
    ...eventJobs({ ...ports, heldFrom: (projectId, signal) => firstUndelivered(ports.db, projectId, signal) }),
    ...presenceJobs(features.presence.engine),
    ...auditJobs({
      ...ports,
      keys: createSealKeys(ports.config.encryptionKeys),
      retentionDays: ports.config.auditRetentionDays,
    }),
    ...deliveryJobs(ports),
  ];
  resources.use(createJobs(ports, jobs));
  const running = resources.move();
  return {
    routes: (router) => registerServices(router, ports, features),
    interceptors: interceptors(chain),
    gate: createGate(chain),
    httpRoutes: plainRoutes({ ...ports, ...features, announceEnd: features.revocations.announceEnd }),
    isKnownOrigin: createKnownOrigins(ports.db, ports.clock),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

function gauges(metrics: FeaturePorts["metrics"], { passwords, presence }: Features): void {
  metrics.gauge("password_hashes_waiting", "Passwords that wait to be hashed or checked", () => passwords.waiting);
  const staleFor = () => presence.hub.staleFor / 1_000;
  metrics.gauge("presence_stale_seconds", "For how long watched presences could not be read", staleFor);
}

const systemOf = ({ projectId, accessKeyId }: VerifiedAccessKey): Caller => ({
  kind: "system",
  projectId,
  accessKeyId,
});

function sessionCallerOf({ projectId, userId, sessionId, signInTime, endTime }: LiveSession): Caller {
  return {
    kind: "user",
    projectId,
    userId,
    tokenId: sessionId,
    sessionId,
    keyId: undefined,
    issuedAt: signInTime.getTime(),
    // An open stream prolongs its session, so that only the last end is one of it.
    expiresAt: endTime.getTime(),
  };
}

const readerBy =
  (definitions: DefinitionsByKey): MayReadEntry =>
  (key, aboutItself) =>
    mayRead(definitions.get(key), aboutItself);

function chainPorts(ports: FeaturePorts, features: Features): ChainPorts {
  const { check, attributes, accessKeys, tokens, sessions, activity } = features;
  const { config, db } = ports;
  return {
    ...ports,
    rules: rulesOf(SERVICES),
    check,
    announceEvents: features.announceEvents,
    openServices: new Set(OPEN_SERVICES.map((service) => service.typeName)),
    rateFactor: config.rateFactor,
    isOperatorKey: (key) => equalSecrets(key, config.operatorKey),
    verifyAccessKey(key) {
      const verified = accessKeys.verify(key);
      return verified instanceof Promise ? verified.then(systemOf) : systemOf(verified);
    },
    async verifyUserToken(token, signal) {
      const verified = await tokens.verifier.verify(token, signal);
      const { projectId, userId, tokenId, sessionId, keyId, issuedAt, expiresAt } = verified;
      activity.seen(projectId, userId);
      return { kind: "user", projectId, userId, tokenId, sessionId, keyId, issuedAt, expiresAt };
    },
    verifySessionToken(token, signal) {
      const callerOf = (session: LiveSession): Caller => {
        activity.seen(session.projectId, session.userId);
        return sessionCallerOf(session);
      };
      const session = sessions.authenticate(token, signal);
      return session instanceof Promise ? session.then(callerOf) : callerOf(session);
    },
    ...pageOrigins(ports, features),
    entryReader(projectId) {
      const known = attributes.known(projectId);
      return known ? readerBy(known) : attributes.of(projectId).then(readerBy);
    },
    async resolveUser(projectId, ref, signal) {
      const [user] = await findUserIds(db, { projectId, signal }, [userKeyOf(ref)]);
      return user?.id;
    },
  };
}
