import type { ConnectRouter, Interceptor } from "@connectrpc/connect";
import type { Clock } from "./clock.ts";
import type { Config } from "./config.ts";
import type { Database } from "./db/orm.ts";
import { ProjectService } from "./gen/muster/v1/project_service_pb.ts";
import { TokenService } from "./gen/muster/v1/token_service_pb.ts";
import { UserService } from "./gen/muster/v1/user_service_pb.ts";
import type { NewId } from "./ids.ts";
import type { Logger } from "./logger.ts";
import { createKnownOrigins } from "./projects/known-origins.ts";
import { createProjectDirectory } from "./projects/project-directory.ts";
import { projectService } from "./projects/project-service.ts";
import { createAccessKeyVerifier } from "./projects/verify-access-key.ts";
import { rulesOf } from "./rpc/access.ts";
import { equalSecrets } from "./rpc/constant-time.ts";
import { SESSION_COOKIE, TOKEN_HEADERS } from "./rpc/credential.ts";
import { interceptors } from "./rpc/interceptors.ts";
import { statusOf } from "./rpc/map-errors.ts";
import type { Metrics } from "./rpc/metrics.ts";
import type { StreamRegistry } from "./rpc/open-streams.ts";
import type { HttpRoute } from "./rpc/plain-http.ts";
import type { Tracing } from "./rpc/tracing.ts";
import { createCheck, warmUp } from "./rpc/validate.ts";
import { createSealer } from "./sealing.ts";
import { jwksRoutes } from "./tokens/jwks-routes.ts";
import { tokenService } from "./tokens/token-service.ts";
import { createTokens } from "./tokens/tokens.ts";
import { userMessage } from "./users/user-message.ts";
import { userKeyOf } from "./users/user-ref.ts";
import { userService } from "./users/user-service.ts";
import { findUserIds } from "./users/users.ts";

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
}

/** The features, wired: everything but a port. */
export interface App extends AsyncDisposable {
  /** Registers the services of the contract. */
  readonly routes: (router: ConnectRouter) => void;
  readonly interceptors: Interceptor[];
  readonly httpRoutes: readonly HttpRoute[];
  /** Whether some project lists the origin. */
  isKnownOrigin(origin: string): Promise<boolean>;
}

/** The services of the contract. An RPC of theirs without declared access and bucket stops the start. */
export const SERVICES = [UserService, ProjectService, TokenService] as const;

export async function createApp(ports: AppPorts): Promise<App> {
  const { config, db, clock, newId, logger, publicUrl } = ports;
  const tokenTtlMs = config.tokenTtlHours * 3_600_000;
  const sealer = createSealer(config.encryptionKeys);
  const check = createCheck();
  const projects = createProjectDirectory(db, clock, tokenTtlMs);
  const accessKeys = createAccessKeyVerifier(db, clock);
  const acceptedIn = { headers: TOKEN_HEADERS, cookies: [SESSION_COOKIE] };
  const tokens = createTokens({ db, clock, newId, projects, sealer, publicUrl });
  const { signingKeys } = tokens;
  const users = {
    ...{ db, clock, newId, projects, check },
    announceDeletion: () => {},
    statusOf: (error: unknown, signal: AbortSignal) => statusOf(error, signal, logger),
  };
  const rules = rulesOf(SERVICES);
  warmUp(
    check,
    [...rules.keys()].map((method) => method.input),
  );
  return {
    routes(router) {
      router.service(UserService, userService(users));
      router.service(
        ProjectService,
        projectService({ db, clock, newId, signingKeys, tokenTtlMs, directory: projects, accessKeys }),
      );
      router.service(TokenService, tokenService({ ...tokens, acceptedIn, userMessage }));
    },
    interceptors: interceptors({
      ...ports,
      rules,
      check,
      openServices: new Set(),
      rateFactor: config.rateFactor,
      isOperatorKey: (key) => equalSecrets(key, config.operatorKey),
      verifyAccessKey: async (key) => ({ kind: "system", ...(await accessKeys.verify(key)) }),
      verifyUserToken: async (token, signal) => ({ kind: "user", ...(await tokens.verifier.verify(token, signal)) }),
      originsOf: async (projectId) => (await projects.get(projectId)).settings.corsOrigins,
      async resolveUser(projectId, ref, signal) {
        const [user] = await findUserIds(db, { projectId, signal }, [userKeyOf(ref)]);
        return user?.id;
      },
    }),
    httpRoutes: jwksRoutes(tokens),
    isKnownOrigin: createKnownOrigins(db, clock),
    async [Symbol.asyncDispose]() {},
  };
}
