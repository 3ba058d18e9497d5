import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import { expect } from "vitest";
import type { Database } from "../../src/db/orm.ts";
import { Access } from "../../src/gen/muster/v1/access_pb.ts";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { LocatorType, type UserSchema } from "../../src/gen/muster/v1/user_pb.ts";
import type { ExportUserResponse } from "../../src/gen/muster/v1/user_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import type { TestProject } from "../support/start-app.ts";
import { data, text } from "./attributes-fixture.ts";
import { someImage } from "./avatar-fixture.ts";

export const PASSWORD = "a staple of correct batteries";

export const byId = (id: string) => ({ ref: { case: "id" as const, value: id } });

/** The text that a stream of chunks makes. */
export async function textOf(stream: AsyncIterable<Pick<ExportUserResponse, "chunk">>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const { chunk } of stream) chunks.push(chunk);
  return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
}

/** A document, as far as tests look into it. */
export interface Exported {
  readonly user: { readonly [name: string]: unknown };
  readonly attributes: Record<string, unknown>;
  readonly presence: { readonly [name: string]: unknown } | null;
  readonly tokens: readonly { readonly id: string }[];
  readonly events: readonly {
    readonly id: string;
    readonly type: string;
    readonly data?: { readonly [name: string]: unknown };
  }[];
  readonly [member: string]: unknown;
}

/** What is exported of a user. */
export const exportOf = async (users: Client<typeof UserService>, id: string): Promise<Exported> =>
  JSON.parse(await textOf(users.exportUser({ ref: byId(id) }))) as Exported;

/** Appends `count` events about a user, each in a place of its own. */
export const addEvents = (
  db: { readonly pool: Pick<Database["pool"], "query"> },
  projectId: string,
  userId: string,
  count: number,
) =>
  db.pool.query(
    `insert into events (project_id, id, type, user_id, data, create_time)
     select $1, gen_random_uuid(), 'user.deleted', $2, jsonb_build_object('user_id', n::text, 'external_id', repeat('x', 100)), now()
     from generate_series(1, $3::int) n`,
    [projectId, userId, count],
  );

const PROFILE: MessageInitShape<typeof UserSchema> = {
  login: "zoë.full",
  name: "Zoë 🦆",
  email: "Zoe@Example.org",
  emailVerified: true,
  phone: "+4930123456",
  phoneVerified: true,
  bio: 'Says "hello",\nand more',
  website: "https://example.org/zoe?a=b&c",
  birthdate: { year: 1990, month: 2, day: 3 },
  timeZone: "Europe/Berlin",
  location: { latitude: 52.5, longitude: 13.25 },
  metadata: { public: [1, "two", null, { three: true }] },
  privateMetadata: { plan: "gold" },
  attributes: { nick: text("Zo"), diary: text("Dear diary"), score: text("secretly low") },
  tags: ["beta", "ß"],
  reputation: -42n,
};

const PRESENCE = {
  status: "online",
  message: "Here",
  metadata: { room: "kitchen" },
  ttl: { seconds: 60n, nanos: 500_000_000 },
  expiresTo: { status: "away" },
};

/** A session of a user, as one that signed in and refreshed once leaves it. */
const addSession = (db: Database, projectId: string, userId: string) =>
  db.pool.query(
    `insert into sessions (project_id, id, user_id, create_time, user_agent, address, sealed_seed, token_digest, last_active_time,
       expire_time, end_time, guest_end_time, refresh_rotate_time, refresh_expire_time, refresh_end_time)
     select $1, gen_random_uuid(), $2, t, 'Firefox', '192.0.2.1', sha256('seed'), sha256('token'), t, t + interval '2 h',
       t + interval '30 d', t + interval '1 d', t + interval '1 h', t + interval '31 d', t + interval '365 d'
     from (select '2026-01-01T00:00:02Z'::timestamptz as t) as now`,
    [projectId, userId],
  );

const addPasswordReset = (db: Database, projectId: string, userId: string) =>
  db.pool.query(
    `insert into password_resets (project_id, user_id, email_key, token_digest, create_time, expire_time)
     select $1, $2, 'zoe@example.org', sha256('reset'), t, t + interval '1 h'
     from (select '2026-01-01T00:00:03Z'::timestamptz as t) as now`,
    [projectId, userId],
  );

/** The identity of a full user, as it is exported. */
export const IDENTITY = {
  provider_id: "acme",
  subject: "4711",
  email: "zoe@acme.example",
  email_verified: true,
  create_time: "2026-01-01T00:00:04.000Z",
  last_sign_in_time: "2026-01-01T01:00:04.000Z",
};

const addIdentity = async (db: Database, projectId: string, userId: string) => {
  await db.pool.query(
    `insert into providers (project_id, id, kind, config, display_name, disabled, create_time, update_time)
     values ($1, 'acme', 'OIDC', '{}', 'Acme', false, now(), now())`,
    [projectId],
  );
  await db.pool.query(
    `insert into identities (project_id, provider_id, subject, user_id, email, email_verified, create_time, last_sign_in_time)
     select $1, 'acme', '4711', $2, 'zoe@acme.example', true, t, t + interval '1 h'
     from (select '2026-01-01T00:00:04Z'::timestamptz as t) as now`,
    [projectId, userId],
  );
};

/** The suspension that is in force, as its message says it. */
export const SUSPENSION = {
  id: expect.any(String),
  reason: "Spam",
  start_time: expect.stringMatching(/^2026-01-01T00:00:00(\.000)?Z$/),
  end_time: expect.stringMatching(/^2096-10-02T07:06:40(\.000)?Z$/),
};

const addAuditEntry = (db: Database, projectId: string, userId: string) =>
  db.pool.query(
    `insert into audit_entries (project_id, create_time, method, actor_kind, user_id, target, details)
     values ($1, '2026-01-01T00:00:00Z', 'SessionService/DeleteSession', 'operator', $2, 'session/1', '{"others": true}')`,
    [projectId, userId],
  );

/** A delivery of the user's first event. */
const addDelivery = async (db: Database, projectId: string, userId: string) => {
  await db.pool.query(
    `insert into webhooks (project_id, id, url, description, event_types, payload, max_concurrency, sealed_secrets, disabled, create_time, update_time)
     values ($1, '00000000-0000-7000-8000-000000000001', 'https://example.org', '', '{}', 'FULL', 1, 'webhook-sealed', true, now(), now())`,
    [projectId],
  );
  await db.pool.query(
    `insert into deliveries (project_id, event_id, webhook_id, event_type, user_id, state, ready, next_attempt_time, create_time, complete_time)
     select project_id, id, '00000000-0000-7000-8000-000000000001', type, user_id, 'SUCCEEDED', false, t, t, t + interval '1 s'
     from events, (select '2026-01-01T00:00:06Z'::timestamptz as t) as now where project_id = $1 and user_id = $2 and type = 'user.created'`,
    [projectId, userId],
  );
};

/** A user of whom every column that is exported holds something. Mail is for the address that its project's codes are sent to. */
export async function fullUser(db: Database, project: TestProject) {
  const users = project.system(UserService);
  const define = (key: string, readers: Access[]) =>
    users.defineAttribute({
      definition: { key, contentTypes: ["text/plain", "image/png"], readers, filterable: true },
    });
  await define("nick", []);
  await define("diary", [Access.SELF]);
  await define("score", [Access.SYSTEM]);
  const { user } = await users.upsertUser({
    externalId: "full",
    user: PROFILE,
  });
  const id = user?.id ?? "";
  const ref = byId(id);
  await users.setAttributes({ ref, attributes: { nick: data(new Uint8Array([0, 255])) } });
  const second = { type: LocatorType.EMAIL, value: "second@example.org" };
  await users.addLocator({ ref, locator: second });
  await users.requestLocatorVerification({ ref, locator: second });
  const ended = await users.suspendUser({ ref, suspension: { blocksSignIn: true } });
  await users.liftSuspension({ ref, suspensionId: ended.user?.suspensions[0]?.id ?? "" });
  await users.suspendUser({ ref, suspension: { reason: "Spam", endTime: { seconds: 4_000_000_000n } } });
  await users.setPassword({ ref, password: PASSWORD });
  await users.setAvatar({ ref, image: await someImage(3) });
  await project.system(PresenceService).setPresence({ ref, presence: PRESENCE });
  const { signedToken, token } = await project
    .system(TokenService)
    .issueToken({ ref, claims: { room: "kitchen" }, audience: ["chat"] });
  await addSession(db, project.id, id);
  await addPasswordReset(db, project.id, id);
  await addIdentity(db, project.id, id);
  await db.pool.query("update tokens set revoke_time = issue_time + interval '1 minute' where id = $1", [token?.id]);
  await db.pool.query(
    "update events set origin = 'moderation' where user_id = $1 and data -> 'suspension' ->> 'reason' = 'Spam'",
    [id],
  );
  await addAuditEntry(db, project.id, id);
  await addDelivery(db, project.id, id);
  await db.pool.query("update users set guest = true, last_active_time = '2026-01-01T00:00:05Z' where id = $1", [id]);
  return { id, users, signedToken, tokenId: token?.id ?? "" };
}
