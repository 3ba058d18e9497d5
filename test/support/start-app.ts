import { randomBytes } from "node:crypto";
import { create, type DescService } from "@bufbuild/protobuf";
import { type Client, createClient, createRouterTransport, type Interceptor } from "@connectrpc/connect";
import { afterAll } from "vitest";
import { type App, createApp } from "../../src/app.ts";
import type { Clock } from "../../src/clock.ts";
import { type Config, readConfig } from "../../src/config.ts";
import type { Database } from "../../src/db/orm.ts";
import { type ProjectSettings, ProjectSettingsSchema } from "../../src/gen/muster/v1/project_pb.ts";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { createIds } from "../../src/ids.ts";
import { createLogger } from "../../src/logger.ts";
import { createMetrics, type Metrics } from "../../src/rpc/metrics.ts";
import { createStreamRegistry } from "../../src/rpc/open-streams.ts";
import { NO_TRACING } from "../../src/rpc/tracing.ts";
import { testDatabase } from "./database.ts";
import { createFakeClock } from "./fake-clock.ts";

/** One for all servers of a test file: those on one database need the same. */
const ENCRYPTION_KEY = randomBytes(32);
export const OPERATOR_KEY = `mop_${"0".repeat(40)}`;

/** The configuration of tests: no environment, fixed secrets, no rate limits unless asked for. */
export function testConfig(db: Pick<Database, "address">, overrides: Partial<Config> = {}): Config {
  const { database: _, operatorKey: __, encryptionKeys: ___, ...config } = readConfig({ MUSTER_RATE_LIMITS: "off" });
  return {
    ...config,
    database: db.address,
    operatorKey: OPERATOR_KEY,
    encryptionKeys: [ENCRYPTION_KEY],
    ...overrides,
  };
}

export interface TestAppOptions {
  readonly config?: Partial<Config>;
  readonly clock?: Clock;
  /** Shared by several apps: they are then servers of one deployment. */
  readonly db?: Database;
}

/** A project to test in. */
export interface TestProject {
  readonly id: string;
  readonly accessKey: string;
  /** A client that calls as `.system` of the project. */
  system<S extends DescService>(service: S): Client<S>;
  /** The id of a new user, and the JWT it calls with. */
  signedInUser(externalId?: string): Promise<{ id: string; token: string }>;
}

export interface TestApp {
  readonly app: App;
  readonly db: Database;
  readonly config: Config;
  readonly clock: ReturnType<typeof createFakeClock>;
  readonly metrics: Metrics;
  /** A client that calls with a credential; none: `.anonymous`. */
  client<S extends DescService>(service: S, credential?: string, headers?: Record<string, string>): Client<S>;
  /** A client that calls as the operator. */
  operator<S extends DescService>(service: S): Client<S>;
  /** Makes a project with an access key. */
  project(settings?: Partial<ProjectSettings>): Promise<TestProject>;
}

/** The production wiring on a fresh database and a fake clock, with clients that reach it without a port. */
export async function startApp(options: TestAppOptions = {}): Promise<TestApp> {
  const db = options.db ?? (await testDatabase());
  const clock = createFakeClock(Date.parse("2026-01-01T00:00:00Z"));
  const config = testConfig(db, options.config);
  const metrics = createMetrics();
  const app = await createApp({
    config,
    publicUrl: "http://muster.test",
    db,
    clock: options.clock ?? clock,
    newId: createIds(options.clock ?? clock),
    logger: createLogger("silent"),
    metrics,
    tracing: NO_TRACING,
    streams: createStreamRegistry(options.clock ?? clock),
  });
  afterAll(() => app[Symbol.asyncDispose]());
  const client: TestApp["client"] = (service, credential, headers = {}) => {
    const sent = credential ? { authorization: `Bearer ${credential}`, ...headers } : headers;
    const send: Interceptor = (next) => (request) => {
      for (const [name, value] of Object.entries(sent)) request.header.set(name, value);
      return next(request);
    };
    const router = { interceptors: app.interceptors };
    return createClient(service, createRouterTransport(app.routes, { router, transport: { interceptors: [send] } }));
  };
  const operator: TestApp["operator"] = (service) => client(service, config.operatorKey);
  return {
    app,
    db,
    config,
    clock,
    metrics,
    client,
    operator,
    project: (settings) => makeProject({ client, operator }, settings),
  };
}

/** Makes a project, as the operator, with an access key. */
export async function makeProject(
  { client, operator }: Pick<TestApp, "client" | "operator">,
  settings: Partial<ProjectSettings> = {},
): Promise<TestProject> {
  const { $typeName: _, ...init } = create(ProjectSettingsSchema, settings as object);
  const { project } = await operator(ProjectService).createProject({ displayName: "Test", settings: init });
  const id = project?.id ?? "";
  const { accessKey } = await operator(ProjectService).createAccessKey({ projectId: id });
  const system: TestProject["system"] = (service) => client(service, accessKey);
  return {
    id,
    accessKey,
    system,
    async signedInUser(externalId = "") {
      const { user } = await system(UserService).upsertUser({ externalId });
      const ref = { ref: { case: "id", value: user?.id ?? "" } } as const;
      const { signedToken } = await system(TokenService).issueToken({ ref });
      return { id: user?.id ?? "", token: signedToken };
    },
  };
}
