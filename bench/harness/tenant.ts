import { create, type DescService, type JsonValue } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import pg from "pg";
import { connectionOptions } from "../../src/db/orm.ts";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { type User, UserSchema } from "../../src/gen/muster/v1/user_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { createSealer } from "../../src/sealing.ts";
import { generateUsers } from "./generated-users.ts";
import type { SubjectOptions } from "./subject-process.ts";

/** A project of the subject's, made for one row. */
export interface Tenant extends Disposable {
  readonly projectId: string;
  readonly accessKey: string;
  /** The URL that its tokens name as issuer. */
  readonly issuer: string;
  /** Calls as `.system`. */
  client<S extends DescService>(service: S): Client<S>;
  /** Another project of the same server. */
  another(): Promise<Tenant>;
  /** Makes users with a name, an email address and a little metadata. */
  makeUsers(count: number): Promise<User[]>;
  /** Makes as many users as the run says a large roll has, all at once; gives how many. */
  generateUsers(): Promise<number>;
  /** Signs in guests, and gives the seeds of their sessions as they lie sealed in the database: all their tokens derive from them. */
  signInGuests(count: number): Promise<SeededSession[]>;
  /** The key that signs the project's tokens, as it lies sealed in the database. */
  signingKey(): Promise<{ kid: string; jwk: JsonValue }>;
}

/** A session and what its tokens derive from. */
export interface SeededSession {
  readonly sessionId: string;
  /** Base64. */
  readonly seed: string;
}

/** A batch of BatchUpsertUsers. */
const BATCH = 1_000;

/**
 * Makes a project with an access key. `largeRoll`: how many users `generateUsers` makes. `existing`: takes a project that is there, and that
 * has them already.
 */
export async function makeTenant(
  url: string,
  options: SubjectOptions,
  largeRoll: number,
  existing?: Pick<Tenant, "projectId" | "accessKey">,
): Promise<Tenant> {
  const sessionManager = new Http2SessionManager(url);
  const clientOf = <S extends DescService>(service: S, credential: string): Client<S> => {
    const transport = createGrpcTransport({
      baseUrl: url,
      sessionManager,
      interceptors: [
        (next) => (request) => {
          request.header.set("authorization", `Bearer ${credential}`);
          return next(request);
        },
      ],
    });
    return createClient(service, transport);
  };
  const { projectId, accessKey } = existing ?? (await makeProject(clientOf(ProjectService, options.operatorKey)));
  const client: Tenant["client"] = (service) => clientOf(service, accessKey);
  return {
    projectId,
    accessKey,
    issuer: `${url}/projects/${projectId}`,
    client,
    another: () => makeTenant(url, options, largeRoll),
    makeUsers: (count) => makeUsers(client(UserService), count),
    async generateUsers() {
      if (existing) return largeRoll;
      const pool = new pg.Pool(connectionOptions(options.database));
      await generateUsers(pool, projectId, largeRoll);
      await pool.end();
      return largeRoll;
    },
    async signInGuests(count) {
      const credential = { case: "guest", value: {} } as const;
      for (let made = 0; made < count; made += 50)
        await Promise.all(Array.from({ length: 50 }, () => client(SessionService).createSession({ credential })));
      return readSeeds(options, projectId);
    },
    signingKey: () => readSigningKey(options, projectId),
    [Symbol.dispose]: () => sessionManager.abort(),
  };
}

async function makeProject(projects: Client<typeof ProjectService>) {
  const { project } = await projects.createProject({ displayName: "Bench" });
  const projectId = project?.id ?? "";
  const { accessKey } = await projects.createAccessKey({ projectId });
  return { projectId, accessKey };
}

/** A user of the bench; those of equal numbers are equal. */
export const userNumber = (n: number): User =>
  create(UserSchema, {
    externalId: `user-${n}`,
    name: `User Number ${n}`,
    email: `User.${n}@example.com`,
    metadata: { plan: "free", seats: 5 },
  });

async function makeUsers(service: Client<typeof UserService>, count: number): Promise<User[]> {
  const made: User[] = [];
  while (made.length < count) {
    const numbers = Array.from({ length: Math.min(BATCH, count - made.length) }, (_, i) => made.length + i);
    const users = numbers.map((n) => ({ externalId: `user-${n}`, user: userNumber(n) }));
    const { results } = await service.batchUpsertUsers({ users });
    for (const { user, error } of results) {
      if (!user) throw new Error(`a user could not be made: ${error?.message}`);
      made.push(user);
    }
  }
  return made;
}

async function readSeeds({ database, encryptionKey }: SubjectOptions, projectId: string): Promise<SeededSession[]> {
  const client = new pg.Client(connectionOptions(database));
  await client.connect();
  try {
    const { rows } = await client.query<{ id: string; sealed_seed: Buffer }>(
      "select id, sealed_seed from sessions where project_id = $1 order by id",
      [projectId],
    );
    const sealer = createSealer([encryptionKey]);
    return rows.map(({ id, sealed_seed: sealed }) => ({
      sessionId: id,
      seed: sealer.open(sealed, { purpose: "session-seed", projectId, id }).toString("base64"),
    }));
  } finally {
    await client.end();
  }
}

async function readSigningKey({ database, encryptionKey }: SubjectOptions, projectId: string) {
  const client = new pg.Client(connectionOptions(database));
  await client.connect();
  try {
    const { rows } = await client.query<{ id: string; sealed_private_key: Buffer }>(
      "select id, sealed_private_key from signing_keys where project_id = $1 and retire_time is null",
      [projectId],
    );
    const [key] = rows;
    if (!key) throw new Error("the project has no signing key");
    const context = { purpose: "signing-key", projectId, id: key.id };
    const secret = createSealer([encryptionKey]).open(key.sealed_private_key, context);
    return { kid: key.id, jwk: JSON.parse(secret.toString()) as JsonValue };
  } finally {
    await client.end();
  }
}
