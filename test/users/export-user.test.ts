import { expect, test } from "vitest";
import { EXPORT_SECTIONS } from "../../src/export-sections.ts";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { startMailServer } from "../support/mail-server.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { byId, exportOf, fullUser, IDENTITY, PASSWORD, SUSPENSION, textOf } from "./export-fixture.ts";

const mail = await startMailServer();
const app = await startApp({
  config: { smtp: { host: "127.0.0.1", port: mail.port, tls: false }, mailFrom: "codes@muster.example" },
});
const { db, client } = app;
const project = await app.project();
const { id, users, signedToken, tokenId } = await fullUser(db, project);
const NOW = "2026-01-01T00:00:00.000Z";

/** The profile, but for what is said by `getUser` alone. */
const USER = {
  id,
  external_id: "full",
  login: "zoë.full",
  name: "Zoë 🦆",
  email: "Zoe@Example.org",
  email_verified: true,
  phone: "+4930123456",
  phone_verified: true,
  bio: 'Says "hello",\nand more',
  website: "https://example.org/zoe?a=b&c",
  birthdate: { year: 1990, month: 2, day: 3 },
  time_zone: "Europe/Berlin",
  location: { latitude: 52.5, longitude: 13.25 },
  metadata: { public: [1, "two", null, { three: true }] },
  private_metadata: { plan: "gold" },
  tags: ["beta", "ß"],
  reputation: "-42",
  guest: true,
  create_time: "2026-01-01T00:00:00Z",
  update_time: "2026-01-01T00:00:00Z",
  last_active_time: "2026-01-01T00:00:05Z",
};

const ATTRIBUTES = {
  nick: { content_type: "image/png", data: "AP8=" },
  diary: { content_type: "text/plain", text: "Dear diary" },
  score: { content_type: "text/plain", text: "secretly low" },
};

/** What tables of the user's own hold. */
const LISTS = {
  locator_codes: [
    {
      type: "email",
      key: "second@example.org",
      send_time: NOW,
      expire_time: "2026-01-01T00:15:00.000Z",
      tries: 0,
      sends: 1,
      window_start: NOW,
    },
  ],
  identities: [IDENTITY],
  password_resets: [
    {
      email_key: "zoe@example.org",
      create_time: "2026-01-01T00:00:03.000Z",
      expire_time: "2026-01-01T01:00:03.000Z",
    },
  ],
  sessions: [
    {
      id: expect.any(String),
      create_time: "2026-01-01T00:00:02.000Z",
      user_agent: "Firefox",
      address: "192.0.2.1",
      last_active_time: "2026-01-01T00:00:02.000Z",
      expire_time: "2026-01-01T02:00:02.000Z",
      end_time: "2026-01-31T00:00:02.000Z",
      guest_end_time: "2026-01-02T00:00:02.000Z",
      refresh_rotate_time: "2026-01-01T01:00:02.000Z",
      refresh_expire_time: "2026-02-01T00:00:02.000Z",
      refresh_end_time: "2027-01-01T00:00:02.000Z",
    },
  ],
  tokens: [
    {
      id: tokenId,
      issue_time: "2026-01-01T00:00:01.000Z",
      expire_time: "2026-01-02T00:00:01.000Z",
      revoke_time: "2026-01-01T00:01:01.000Z",
      key_id: expect.any(String),
      claims: { room: "kitchen" },
      audience: ["chat"],
    },
  ],
  deliveries: [
    {
      event_id: expect.any(String),
      event_type: "user.created",
      webhook_id: "00000000-0000-7000-8000-000000000001",
      state: "SUCCEEDED",
      create_time: "2026-01-01T00:00:06.000Z",
      complete_time: "2026-01-01T00:00:07.000Z",
    },
  ],
  revocations: [
    {
      before_time: "2026-01-01T00:00:01.000Z",
      cause: "USER_SUSPENDED",
      create_time: NOW,
      forget_after_time: expect.any(String),
    },
  ],
};

test("an export is one JSON document of all that was put in", async () => {
  const { user } = await users.getUser({ ref: byId(id) });
  const { events: _, presence: __, audit_entries: ___, ...rest } = await exportOf(users, id);
  expect(rest).toEqual({
    version: 1,
    export_time: NOW,
    project_id: project.id,
    user: { ...USER, avatar_url: user?.avatarUrl, etag: user?.etag },
    locators: [
      { type: "LOCATOR_TYPE_EMAIL", value: "Zoe@Example.org", verified: true, primary: true },
      { type: "LOCATOR_TYPE_PHONE", value: "+4930123456", verified: true, primary: true },
      { type: "LOCATOR_TYPE_EMAIL", value: "second@example.org" },
    ],
    suspensions: [SUSPENSION],
    attributes: ATTRIBUTES,
    avatar: {
      urls: Object.fromEntries(
        [64, 256, 512].map((size) => [size, user?.avatarUrl.replace("256.webp", `${size}.webp`)]),
      ),
      create_time: NOW,
    },
    ...LISTS,
    password: { imported: false, update_time: NOW },
    tokens_valid_from: "2026-01-01T00:00:01.000Z",
  });
});

test("the presence stands in it as it was set, to the microsecond", async () => {
  const { presence } = await project.system(PresenceService).getPresence({ ref: byId(id) });
  const { presence: given } = await exportOf(users, id);
  expect(given).toEqual({
    revision: Number(presence?.revision),
    set_time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
    since_time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
    steps: [{ status: "online", message: "Here", metadata: { room: "kitchen" }, ttl: "60.5s" }, { status: "away" }],
  });
  const since = presence?.sinceTime;
  const sinceMicros = Number(since?.seconds) * 1e6 + Number(since?.nanos) / 1e3;
  expect(Date.parse(String(given?.["since_time"]))).toBe(Math.floor(sinceMicros / 1e3));
  expect(String(given?.["since_time"]).slice(-4, -1)).toBe(String(sinceMicros % 1e3).padStart(3, "0"));
});

test("the user of these tests has something in every column that is exported", async () => {
  const columns = EXPORT_SECTIONS.flatMap(({ tables }) =>
    Object.entries(tables).flatMap(([table, { exported }]) => exported.map((column) => ({ table, column }))),
  );
  const empty = columns.map(async ({ table, column }) => {
    const holder = table === "users" ? "id" : "user_id";
    const sql = `select from ${table} where ${holder} = $1 and ${column} is not null and ${column}::text not in ('{}', '[]')`;
    const { rowCount } = await db.pool.query(sql, [id]);
    return rowCount === 0
      ? [`Give ${table}.${column} a value in test/users/export-fixture.ts, and expect it above`]
      : [];
  });
  expect((await Promise.all(empty)).flat()).toEqual([]);
});

test("a user exports of itself what it may read, and of its attributes those whose definition lets it, in its events too", async () => {
  const { token } = await project.signedInUser("full");
  const whole = await exportOf(users, id);
  const own = await exportOf(client(UserService, token), id);
  const { score, ...readable } = whole.attributes;
  expect(score).toEqual({ content_type: "text/plain", text: "secretly low" });
  expect(own.attributes).toEqual(readable);
  expect(JSON.stringify(whole)).toContain("secretly low");
  expect(JSON.stringify(own)).not.toContain("secretly low");
  const created = own.events[0]?.data?.["user"] as Record<string, unknown>;
  expect(Object.keys(created["attributes"] as object).toSorted()).toEqual(["diary", "nick"]);
  const { attributes: _, events: __, ...rest } = whole;
  expect(own).toMatchObject(rest);
  expect(own.events).toEqual(whole.events.map(withoutScore));
});

/** An event as a user is given it that may not read the attribute. */
function withoutScore(event: Awaited<ReturnType<typeof exportOf>>["events"][number]) {
  const user = event.data?.["user"] as { attributes: Record<string, unknown> } | undefined;
  if (!user) return event;
  const { score: _, ...attributes } = user.attributes;
  return { ...event, data: { user: { ...user, attributes } } };
}

test("of an event that the contract does not know, a user is told that it was, and `.system` all", async () => {
  const { id: other, token } = await project.signedInUser("future");
  await db.pool.query(
    `insert into events (project_id, id, type, user_id, data, create_time)
     values ($1, gen_random_uuid(), 'user.imagined', $2, '{"who_said_so": "a moderator"}', now())`,
    [project.id, other],
  );
  const [, whole] = (await exportOf(users, other)).events;
  expect(whole).toMatchObject({ type: "user.imagined", data: { who_said_so: "a moderator" } });
  const [, own] = (await exportOf(client(UserService, token), other)).events;
  expect(own).toEqual({ ...whole, data: undefined });
});

test("an export holds no secret, nor what a secret is checked by", async () => {
  const { rows } = await db.pool.query<{ name: string; column: string }>(`
    select c.relname as name, a.attname as column from pg_attribute a join pg_class c on c.oid = a.attrelid
    where a.atttypid = 'bytea'::regtype and c.relkind = 'r' and c.relnamespace = 'public'::regnamespace`);
  const password = await db.pool.query<{ phc: string }>("select phc from passwords where user_id = $1", [id]);
  const secrets: string[] = [PASSWORD, password.rows[0]?.phc ?? "", signedToken, signedToken.split(".")[2] ?? ""];
  for (const { name, column } of rows) {
    const found = await db.pool.query<{ bytes: Buffer }>(
      `select ${column} as bytes from ${name} where ${column} is not null`,
    );
    for (const { bytes } of found.rows)
      secrets.push(...(["hex", "base64", "base64url"] as const).map((form) => bytes.toString(form)));
  }
  const code = /code for Test is (\d{8})\./.exec(mail.received.at(-1)?.message ?? "")?.[1] ?? "";
  expect(code).toMatch(/^\d{8}$/);
  expect(secrets.length).toBeGreaterThan(6);
  expect(secrets).not.toContain("");
  const text = await textOf(users.exportUser({ ref: byId(id) }));
  expect([...secrets, code].filter((secret) => text.includes(secret))).toEqual([]);
});

test("of a user that has nothing but itself, the members are there and empty", async () => {
  const { user } = await users.upsertUser({ externalId: "bare" });
  const {
    version: _,
    export_time: __,
    project_id: ___,
    user: ____,
    events,
    audit_entries: entries,
    ...rest
  } = await exportOf(users, user?.id ?? "");
  expect(events).toHaveLength(1);
  expect(entries).toHaveLength(1);
  expect(rest).toEqual({
    locators: [],
    identities: [],
    password_resets: [],
    suspensions: [],
    attributes: {},
    tokens_valid_from: null,
    password: null,
    avatar: null,
    presence: null,
    locator_codes: [],
    sessions: [],
    deliveries: [],
    tokens: [],
    revocations: [],
  });
});

test("a user exports nobody else, `.anonymous` nobody, and who is not there is refused before the first chunk", async () => {
  const { token } = await project.signedInUser("curious");
  const refused = (caller: typeof users, ref: Parameters<typeof users.exportUser>[0]["ref"]) =>
    reasonOf(textOf(caller.exportUser({ ref: ref as ReturnType<typeof byId> })));
  expect(await refused(client(UserService, token), byId(id))).toBe("PRINCIPAL_NOT_ALLOWED");
  expect(await refused(client(UserService), byId(id))).toBe("CREDENTIAL_MISSING");
  expect(await refused(app.operator(UserService), byId(id))).toBe("PRINCIPAL_NOT_ALLOWED");
  expect(await refused(users, byId("00000000-0000-7000-8000-000000000000"))).toBe("USER_NOT_FOUND");
  const { user: gone } = await users.upsertUser({ externalId: "gone" });
  await users.deleteUser({ ref: byId(gone?.id ?? "") });
  expect(await refused(users, byId(gone?.id ?? ""))).toBe("USER_DELETED");
  expect(await refused(users, undefined)).toBe("REQUEST_INVALID");
});

test("a user is found by any of its identifiers", async () => {
  for (const ref of [
    { case: "externalId", value: "full" },
    { case: "login", value: "ZOË.FULL" },
    { case: "email", value: "second@example.org" },
    { case: "phone", value: "+4930123456" },
  ] as const)
    expect((JSON.parse(await textOf(users.exportUser({ ref: { ref } }))) as { user: { id: string } }).user.id).toBe(id);
});
