import type { DescMethod } from "@bufbuild/protobuf";
import type { ConnectRouter, ServiceImpl } from "@connectrpc/connect";
import { auditService } from "./audit/audit-service.ts";
import { historyService } from "./events/history-service.ts";
import { exportPorts } from "./export-sections.ts";
import { externalKeyService } from "./external-auth/external-key-service.ts";
import { identityService } from "./external-auth/identity-service.ts";
import { providerService } from "./external-auth/provider-service.ts";
import type { FeaturePorts, Features } from "./features.ts";
import { AuditService } from "./gen/muster/v1/audit_service_pb.ts";
import { EventService, WatchEventsResponseSchema } from "./gen/muster/v1/event_service_pb.ts";
import { ExternalAuthService } from "./gen/muster/v1/external_auth_service_pb.ts";
import { EffectivePresenceSchema } from "./gen/muster/v1/presence_pb.ts";
import { PresenceService } from "./gen/muster/v1/presence_service_pb.ts";
import { ProjectService } from "./gen/muster/v1/project_service_pb.ts";
import { SessionService } from "./gen/muster/v1/session_service_pb.ts";
import { TokenService } from "./gen/muster/v1/token_service_pb.ts";
import type { User } from "./gen/muster/v1/user_pb.ts";
import { UserService } from "./gen/muster/v1/user_service_pb.ts";
import { presenceService } from "./presence/presence-service.ts";
import { projectService } from "./projects/project-service.ts";
import { SESSION_COOKIE, TOKEN_HEADERS } from "./rpc/credential.ts";
import { statusOf } from "./rpc/map-errors.ts";
import type { PageOrigins } from "./rpc/page-origin.ts";
import { createSessionCookies } from "./rpc/session-cookies.ts";
import type { MessageLimit } from "./rpc/strict-decode-message.ts";
import type { GrantPorts } from "./sessions/grant-message.ts";
import { refreshService } from "./sessions/refresh-service.ts";
import { sessionService } from "./sessions/session-service.ts";
import type { Sessions } from "./sessions/sessions.ts";
import { tokenService } from "./tokens/token-service.ts";
import { profileChange, userMessage } from "./users/user-message.ts";
import { userService } from "./users/user-service.ts";
import { deliveryService } from "./webhooks/delivery-service.ts";
import { webhookService } from "./webhooks/webhook-service.ts";

const MIB = 1024 * 1024;

/** The services of the contract. An RPC of theirs without declared access and bucket stops the start. */
export const SERVICES = [
  UserService,
  ProjectService,
  SessionService,
  TokenService,
  ExternalAuthService,
  PresenceService,
  EventService,
  AuditService,
] as const;

/**
 * The RPCs that take messages of more than 1 MiB, and how long, in bytes: an avatar has up to 5 MiB, which stand in JSON as base64.
 */
export const LONGER_MESSAGES: ReadonlyMap<DescMethod, MessageLimit> = new Map([
  [UserService.method.setAvatar, { binary: 6 * MIB, json: 8 * MIB }],
]);

/** The types of the messages that many streams may say. */
export const SHARED_MESSAGES = [EffectivePresenceSchema, WatchEventsResponseSchema] as const;

/** Registers the services over the features. */
export function registerServices(router: ConnectRouter, ports: FeaturePorts, features: Features): void {
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
      ...exportPorts(presence.engine),
      streams,
      announcePending: suspensions.wake,
      announceDeletion: presence.announceDeletion,
      endPresence: presence.end,
      logger,
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
  router.service(ExternalAuthService, externalAuthService(features, grants));
  router.service(PresenceService, presenceService(presence, { streams, pageTokens, statusOf: statusFor }));
  router.service(EventService, eventService(ports, features));
  router.service(AuditService, auditService({ db, pageTokens }));
}

/** ExternalAuthService of its parts. */
function externalAuthService(
  features: Features,
  grants: GrantPorts & Sessions,
): ServiceImpl<typeof ExternalAuthService> {
  const { externalAuth, externalUsers } = features;
  const { proveUser } = externalAuth;
  const hasExternalKey = async (projectId: string) => (await externalUsers.externalKeys.of(projectId)).length > 0;
  return {
    ...externalKeyService({ ...grants, ...externalUsers }),
    ...providerService(externalAuth),
    ...identityService({ ...grants, ...externalUsers, proveUser, hasExternalKey }),
  };
}

/** EventService of its parts. */
const eventService = (
  { db, clock, newId, streams }: FeaturePorts,
  { sealer, egress, pageTokens, eventFeed }: Features,
): ServiceImpl<typeof EventService> => ({
  ...historyService({ db, clock, streams, pageTokens, eventFeed }),
  ...webhookService({ db, clock, newId, sealer, egress }),
  ...deliveryService({ db, clock, pageTokens }),
});

/** Whose pages may call. */
export const pageOrigins = ({ publicUrl }: FeaturePorts, { projects }: Features): PageOrigins => ({
  publicUrl,
  originsOf: async (projectId) => (await projects.get(projectId)).settings.corsOrigins,
});
