import type { DescMethod } from "@bufbuild/protobuf";
import type { ConnectRouter, Interceptor } from "@connectrpc/connect";
import { type Clock, systemClock } from "./clock.ts";
import type { Config } from "./config.ts";
import { createListener } from "./db/listener.ts";
import { createNotifier } from "./db/notifier.ts";
import type { Database } from "./db/orm.ts";
import { MusterError } from "./errors.ts";
import { EXPORT_PORTS } from "./export-sections.ts";
import { PresenceService } from "./gen/muster/v1/presence_service_pb.ts";
import { ProjectService } from "./gen/muster/v1/project_service_pb.ts";
import { SessionService } from "./gen/muster/v1/session_service_pb.ts";
import { TokenService } from "./gen/muster/v1/token_service_pb.ts";
import type { User } from "./gen/muster/v1/user_pb.ts";
import { UserService } from "./gen/muster/v1/user_service_pb.ts";
import type { NewId } from "./ids.ts";
import { createJobs } from "./jobs/jobs.ts";
import type { Logger } from "./logger.ts";
import { createPageTokens } from "./page-tokens.ts";
import { plainRoutes } from "./plain-routes.ts";
import { createPresence } from "./presence/presence.ts";
import { presenceService } from "./presence/presence-service.ts";
import { createKnownOrigins } from "./projects/known-origins.ts";
import { createProjectDirectory } from "./projects/project-directory.ts";
import { projectService } from "./projects/project-service.ts";
import { createAccessKeyVerifier } from "./projects/verify-access-key.ts";
import { revocationJobs } from "./revocations/revocation-jobs.ts";
import { createRevocations, type RevocationCause, type Revocations } from "./revocations/revocations.ts";
import { rulesOf } from "./rpc/access.ts";
import type { Caller } from "./rpc/caller.ts";
import { equalSecrets } from "./rpc/constant-time.ts";
import { SESSION_COOKIE, TOKEN_HEADERS } from "./rpc/credential.ts";
import { createGate, type Gate } from "./rpc/gate.ts";
import { type ChainPorts, interceptors } from "./rpc/interceptors.ts";
import { statusOf } from "./rpc/map-errors.ts";
import type { Metrics } from "./rpc/metrics.ts";
import { OPEN_SERVICES } from "./rpc/open-services.ts";
import type { StreamRegistry } from "./rpc/open-streams.ts";
import type { PageOrigins } from "./rpc/page-origin.ts";
import type { HttpRoute } from "./rpc/plain-http.ts";
import { createSessionCookies } from "./rpc/session-cookies.ts";
import type { MessageLimit } from "./rpc/strict-decode-request.ts";
import type { Tracing } from "./rpc/tracing.ts";
import { createCheck, warmUp } from "./rpc/validate.ts";
import { createSealer } from "./sealing.ts";
import { createSenders } from "./senders/senders.ts";
import { createAttempts } from "./sessions/attempts/attempts.ts";
import { refreshService } from "./sessions/refresh-service.ts";
import { sessionJobs } from "./sessions/session-jobs.ts";
import { sessionService } from "./sessions/session-service.ts";
import { createSessions } from "./sessions/sessions.ts";
import { createLogoutLinks } from "./tokens/logout-links.ts";
import { tokenJobs } from "./tokens/token-jobs.ts";
import { tokenService } from "./tokens/token-service.ts";
import { createTokens } from "./tokens/tokens.ts";
import { createAttributeDefinitions, mayRead } from "./users/attribute-definitions.ts";
import { createAvatars } from "./users/avatars/avatars.ts";
import { createPasswords, type PasswordHasher } from "./users/passwords/passwords.ts";
import { createRunningExports } from "./users/running-exports.ts";
import { startSuspensions } from "./users/start-suspensions.ts";
import { createActivity } from "./users/track-activity.ts";
import { userJobs } from "./users/user-jobs.ts";
import { profileChange, userMessage } from "./users/user-message.ts";
import { userKeyOf } from "./users/user-ref-message.ts";
import { userService } from "./users/user-service.ts";
import { findUserIds } from "./users/users.ts";

const HOUR_MS = 3_600_000;
const MIB = 1024 * 1024;

/** What the features stand on. */
export interface AppPorts {
  readonly config: Config;
  /** Where clients reach this instance; tokens name it as their issuer. */
  readonly publicUrl: string;
  readonly db: Database;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly streams: StreamRegistry;
  /** Default: the real one. */
  readonly passwordHasher?: PasswordHasher | undefined;
}

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

/** The services of the contract. An RPC of theirs without declared access and bucket stops the start. */
export const SERVICES = [UserService, ProjectService, SessionService, TokenService, PresenceService] as const;

/**
 * The RPCs that take messages of more than 1 MiB, and how long, in bytes: an avatar has up to 5 MiB, which stand in JSON as base64.
 */
export const LONGER_MESSAGES: ReadonlyMap<DescMethod, MessageLimit> = new Map([
  [UserService.method.setAvatar, { binary: 6 * MIB, json: 8 * MIB }],
]);

type Features = Awaited<ReturnType<typeof createFeatures>>;

/** Wires the features. Disposing the app ends what they run; the database is left open. */
export async function createApp(ports: AppPorts): Promise<App> {
  await using resources = new AsyncDisposableStack();
  const features = await createFeatures(ports, resources);
  ports.metrics.gauge(
    "password_hashes_waiting",
    "Passwords that wait to be hashed or checked",
    () => features.passwords.waiting,
  );
  const chain = chainPorts(ports, features);
  warmUp(
    features.check,
    [...chain.rules.keys()].map((method) => method.input),
  );
  const deletionPorts = {
    announceEnd: features.revocations.announceEnd,
    announceDeletion: features.presence.announceDeletion,
  };
  const jobs = [
    ...userJobs({ ...ports, ...deletionPorts, tokenTtlMs: features.tokenTtlMs }),
    ...features.avatars.jobs,
    ...tokenJobs(ports),
    ...sessionJobs(ports),
    ...revocationJobs(ports),
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

async function createFeatures(ports: AppPorts, resources: AsyncDisposableStack) {
  const { config, db, clock, newId, logger, publicUrl, streams } = ports;
  const notifier = resources.use(createNotifier(db, systemClock, logger));
  const listener = resources.use(createListener(db.address, systemClock, logger));
  const revocations = resources.use(await createRevocations({ db, listener, notifier, clock, logger }));
  guardStreams(streams, revocations);
  const { announceEnd } = revocations;
  const tokenTtlMs = config.tokenTtlHours * HOUR_MS;
  const projects = createProjectDirectory(db, clock, tokenTtlMs);
  const sealer = createSealer(config.encryptionKeys);
  const prepareMs = config.signingKeyPrepareMs;
  const logoutLinks = createLogoutLinks(config.encryptionKeys, publicUrl);
  const tokens = { ...createTokens({ db, clock, newId, projects, sealer, publicUrl, prepareMs }), logoutLinks };
  const attributes = createAttributeDefinitions(db, clock);
  const passwords = createPasswords({ db, clock, logger, hasher: ports.passwordHasher });
  const senders = createSenders(config, clock, newId, logger);
  const { accessTokens } = tokens;
  const signInPorts = { db, clock, newId, logger, projects, sealer, attributes, passwords, accessTokens };
  const sessionPorts = { ...signInPorts, ...sessionPortsOf(ports), senders, announceEnd };
  return {
    tokenTtlMs,
    projects,
    sealer,
    revocations,
    suspensions: resources.use(startSuspensions({ db, clock, logger, announceEnd })),
    senders,
    attributes,
    accessKeys: createAccessKeyVerifier(db, clock),
    tokens,
    sessions: resources.use(createSessions(sessionPorts)),
    presence: resources.use(createPresence({ db, listener, notifier, clock, newId, logger, projects })),
    avatars: resources.use(createAvatars({ db, clock, newId, logger, publicUrl, bucket: config.avatarBucket })),
    passwords,
    activity: resources.use(createActivity(db, clock, logger)),
    check: createCheck(),
    pageTokens: createPageTokens(config.encryptionKeys),
    runningExports: createRunningExports(),
  };
}

/** What sessions need beside the other features. */
const sessionPortsOf = ({ config, db, metrics, streams }: AppPorts) => ({
  attempts: createAttempts(db, config.rateFactor),
  passwordResetUrl: config.passwordResetUrl,
  onReuse: metrics.counter("refresh_reuse", "Refresh tokens that were used again after their time"),
  openSessions: () => sessionsOf(streams),
});

/** The sessions whose tokens the open streams were opened with. */
function* sessionsOf(streams: StreamRegistry) {
  for (const caller of streams.callers())
    if (caller.kind === "user" && caller.tokenId === caller.sessionId)
      yield { projectId: caller.projectId, sessionId: caller.sessionId };
}

/** Has streams end whose caller's access ends. */
function guardStreams(streams: StreamRegistry, { feed, ended }: Revocations): void {
  streams.guard((caller) => refusalOf(caller, "projectId" in caller ? ended.causeFor(caller) : undefined));
  feed.subscribe(() => streams.recheck());
}

/** What a stream is refused with whose caller's access ended. */
function refusalOf(caller: Caller, cause: RevocationCause | undefined): MusterError | undefined {
  if (!cause) return undefined;
  if (caller.kind === "system") return new MusterError("CREDENTIAL_INVALID");
  if (cause === "USER_SUSPENDED") return new MusterError("USER_SUSPENDED");
  const bySession = caller.kind === "user" && caller.tokenId === caller.sessionId;
  return new MusterError(bySession ? "SESSION_NOT_FOUND" : "TOKEN_REVOKED");
}

function registerServices(router: ConnectRouter, ports: AppPorts, features: Features): void {
  const { db, clock, newId, logger, streams } = ports;
  const { projects, accessKeys, tokens, sessions, pageTokens, presence, revocations, suspensions, tokenTtlMs } =
    features;
  const { announceEnd } = revocations;
  const base = { db, clock, newId, projects, announceEnd };
  const acceptedIn = { headers: TOKEN_HEADERS, cookies: [SESSION_COOKIE] };
  const statusFor = (error: unknown, signal: AbortSignal) => statusOf(error, signal, logger);
  router.service(
    UserService,
    userService({
      ...features,
      ...base,
      ...EXPORT_PORTS,
      streams,
      announcePending: suspensions.wake,
      announceDeletion: presence.announceDeletion,
      statusOf: statusFor,
    }),
  );
  router.service(
    ProjectService,
    projectService({ ...base, signingKeys: tokens.signingKeys, tokenTtlMs, directory: projects, accessKeys }),
  );
  const tokenPorts = { ...tokens, announceEnd, feed: revocations.feed, pageTokens, streams };
  const grants = { ...sessions, cookies: createSessionCookies(pageOrigins(ports, features)), userMessage };
  const writer = (bySystem: boolean) => (bySystem ? "SYSTEM" : "SELF");
  const profileOf = (user: User, bySystem: boolean) => profileChange(user, undefined, writer(bySystem));
  router.service(SessionService, sessionService({ ...grants, pageTokens, profileChange: profileOf }));
  router.service(TokenService, {
    ...tokenService({ ...tokenPorts, acceptedIn, userMessage, inspectSession: sessions.inspect }),
    ...refreshService(grants),
  });
  router.service(PresenceService, presenceService(presence, streams));
}

/** Whose pages may call. */
const pageOrigins = ({ publicUrl }: AppPorts, { projects }: Features): PageOrigins => ({
  publicUrl,
  originsOf: async (projectId) => (await projects.get(projectId)).settings.corsOrigins,
});

function chainPorts(ports: AppPorts, features: Features): ChainPorts {
  const { check, attributes, accessKeys, tokens, sessions, activity } = features;
  const { config, db } = ports;
  return {
    ...ports,
    rules: rulesOf(SERVICES),
    check,
    openServices: new Set(OPEN_SERVICES.map((service) => service.typeName)),
    rateFactor: config.rateFactor,
    isOperatorKey: (key) => equalSecrets(key, config.operatorKey),
    verifyAccessKey: async (key) => ({ kind: "system", ...(await accessKeys.verify(key)) }),
    async verifyUserToken(token, signal) {
      const verified = await tokens.verifier.verify(token, signal);
      const { projectId, userId, tokenId, sessionId, keyId, issuedAt, expiresAt } = verified;
      activity.seen(projectId, userId);
      return { kind: "user", projectId, userId, tokenId, sessionId, keyId, issuedAt, expiresAt };
    },
    async verifySessionToken(token, signal) {
      const { projectId, userId, sessionId, signInTime, endTime } = await sessions.authenticate(token, signal);
      activity.seen(projectId, userId);
      const issuedAt = signInTime.getTime();
      // An open stream prolongs its session, so that only the last end is one of it.
      const expiresAt = endTime.getTime();
      const caller = { kind: "user", projectId, userId, tokenId: sessionId, sessionId, keyId: undefined } as const;
      return { ...caller, issuedAt, expiresAt };
    },
    ...pageOrigins(ports, features),
    async entryReader(projectId) {
      const definitions = await attributes.of(projectId);
      return (key, aboutItself) => mayRead(definitions.get(key), aboutItself);
    },
    async resolveUser(projectId, ref, signal) {
      const [user] = await findUserIds(db, { projectId, signal }, [userKeyOf(ref)]);
      return user?.id;
    },
  };
}
