import { type Clock, systemClock } from "./clock.ts";
import type { Config } from "./config.ts";
import { type Act, serverAct } from "./db/act.ts";
import { createListener } from "./db/listener.ts";
import { createNotifier } from "./db/notifier.ts";
import type { Database } from "./db/orm.ts";
import { createEgress } from "./egress/create-egress.ts";
import { MusterError } from "./errors.ts";
import { EVENTS_CHANNEL } from "./events/append-event.ts";
import { createEventFeed } from "./events/event-feed.ts";
import { createExternalProviders } from "./external-auth/external-providers.ts";
import { createExternalUsers } from "./external-auth/external-users.ts";
import { createDisown } from "./external-auth/identities/disown-identities.ts";
import { createRemoteKeySets } from "./external-auth/remote-key-sets.ts";
import { externalProfiles } from "./external-profiles.ts";
import type { NewId } from "./ids.ts";
import type { Logger } from "./logger.ts";
import { createPageTokens } from "./page-tokens.ts";
import { createEngine, type EngineDeps } from "./presence/create-engine.ts";
import { createPresence, type PresenceDeps } from "./presence/presence.ts";
import { createProjectDirectory } from "./projects/project-directory.ts";
import { createAccessKeyVerifier } from "./projects/verify-access-key.ts";
import { createRevocations, type RevocationCause, type Revocations } from "./revocations/revocations.ts";
import type { Caller } from "./rpc/caller.ts";
import type { Metrics } from "./rpc/metrics.ts";
import type { StreamRegistry } from "./rpc/open-streams.ts";
import type { Tracing } from "./rpc/tracing.ts";
import { createCheck } from "./rpc/validate.ts";
import { createSealer } from "./sealing.ts";
import { createSenders } from "./senders/senders.ts";
import { createAttempts } from "./sessions/attempts/attempts.ts";
import { createSessions } from "./sessions/sessions.ts";
import { createLogoutLinks } from "./tokens/logout-links.ts";
import { createTokens, type TokensOptions } from "./tokens/tokens.ts";
import { createAttributeDefinitions } from "./users/attribute-definitions.ts";
import { createAvatars } from "./users/avatars/avatars.ts";
import { createPasswords, type PasswordHasher } from "./users/passwords/passwords.ts";
import { createRunningExports } from "./users/running-exports.ts";
import { startSuspensions } from "./users/start-suspensions.ts";
import { createActivity } from "./users/track-activity.ts";
import { type DeliveryPorts, startDeliveries } from "./webhooks/deliveries/start-deliveries.ts";

const HOUR_MS = 3_600_000;

/** What the features stand on. */
export interface FeaturePorts {
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

export type Features = Awaited<ReturnType<typeof createFeatures>>;

/** Makes the features; what they run ends with `resources`. */
export async function createFeatures(ports: FeaturePorts, resources: AsyncDisposableStack) {
  const { config, db, clock, newId, logger, publicUrl, streams } = ports;
  const { notifier, listener, ...history } = hintsOf(ports, resources);
  const revocations = resources.use(await createRevocations({ db, listener, notifier, clock, logger }));
  guardStreams(streams, revocations);
  const announce = { announceEnd: revocations.announceEnd, announceEvents: history.announceEvents };
  const tokenTtlMs = config.tokenTtlHours * HOUR_MS;
  const projects = createProjectDirectory(db, clock, tokenTtlMs);
  const sealer = createSealer(config.encryptionKeys);
  const tokens = tokensOf(ports, { projects, sealer, memory: revocations.memory });
  const attributes = createAttributeDefinitions(db, clock);
  const passwords = createPasswords({ db, clock, logger, hasher: ports.passwordHasher });
  const { egress, keySets, senders } = outsideOf(ports, resources);
  const signInPorts = { ...tokens, logger, attributes, passwords };
  const check = createCheck();
  const presence = await presenceOf(ports, { listener, notifier, projects }, resources);
  return {
    tokenTtlMs,
    ...history,
    externalAuth: createExternalProviders({ db, clock, logger, sealer, egress, keySets }),
    projects,
    sealer,
    revocations,
    suspensions: resources.use(startSuspensions({ db, clock, logger, ...announce, endPresence: presence.end })),
    ...{ egress, senders },
    attributes,
    accessKeys: createAccessKeyVerifier(db, clock),
    tokens,
    sessions: resources.use(createSessions({ ...signInPorts, ...sessionPortsOf(ports), senders, ...announce })),
    presence,
    avatars: resources.use(createAvatars({ db, clock, newId, logger, publicUrl, bucket: config.avatarBucket })),
    passwords,
    activity: resources.use(createActivity(db, clock, logger)),
    check,
    externalUsers: createExternalUsers({ ...signInPorts, ...externalProfiles(check), keySets, ...announce }),
    pageTokens: createPageTokens(config.encryptionKeys),
    runningExports: createRunningExports(),
    deliveries: resources.use(deliveriesOf(ports, { listener, egress, sealer, ...history })),
  };
}

/** What sends events to webhooks. */
const deliveriesOf = (
  { db, clock, newId, logger, metrics }: FeaturePorts,
  parts: Pick<DeliveryPorts, "listener" | "egress" | "sealer"> & { announceEvents: Act["committed"] },
) =>
  startDeliveries({ db, clock, newId, logger, metrics, ...parts, act: serverAct("job/deliver", parts.announceEvents) });

/** What the processes of a deployment tell one another to look at. */
function hintsOf({ db, logger }: FeaturePorts, resources: AsyncDisposableStack) {
  const notifier = resources.use(createNotifier(db, systemClock, logger));
  const listener = resources.use(createListener(db.address, systemClock, logger));
  const eventFeed = resources.use(createEventFeed({ db, clock: systemClock, logger, listener }));
  const announceEvents = (projectId: string) => notifier.notify(EVENTS_CHANNEL, projectId);
  return { notifier, listener, announceEvents, eventFeed };
}

/** Presence, on the engine that the settings name. */
async function presenceOf(
  { config, db, clock, newId, logger }: FeaturePorts,
  parts: Pick<PresenceDeps, "listener" | "projects"> & Pick<EngineDeps, "notifier">,
  resources: AsyncDisposableStack,
) {
  const engine = await createEngine({ ...parts, db, clock: systemClock, logger, redis: config.redis });
  return resources.use(createPresence({ ...parts, db, engine: resources.use(engine), clock, newId, logger }));
}

/** Our own tokens, and the links that end them. */
function tokensOf(ports: FeaturePorts, parts: Pick<TokensOptions, "projects" | "sealer" | "memory">) {
  const { config, db, clock, newId, publicUrl } = ports;
  const prepareMs = config.signingKeyPrepareMs;
  const tokens = createTokens({ ...parts, db, clock, newId, publicUrl, prepareMs });
  return { ...tokens, logoutLinks: createLogoutLinks(config.encryptionKeys, publicUrl) };
}

/** What projects and outside parties are called by, the keys that these publish, and what brings messages to users. */
function outsideOf({ config, clock, newId, logger, metrics }: FeaturePorts, resources: AsyncDisposableStack) {
  const onEnd = metrics.counterBy("outcome", "egress_requests", "Requests to other servers, by how they ended");
  const egress = resources.use(createEgress({ allow: config.egressAllow, clock, onEnd }));
  const keySets = createRemoteKeySets({ egress, clock, logger });
  return { egress, keySets, senders: createSenders(config, { egress, clock, newId, logger }) };
}

/** What sessions need beside the other features. */
const sessionPortsOf = ({ config, db, newId, metrics, streams }: FeaturePorts) => ({
  attempts: createAttempts(db, config.rateFactor),
  passwordResetUrl: config.passwordResetUrl,
  onReuse: metrics.counter("refresh_reuse", "Refresh tokens that were used again after their time"),
  openSessions: () => sessionsOf(streams),
  disownIdentities: createDisown(newId),
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
