import type { MessageInitShape } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import {
  type BatchUpsertUsersResult,
  UpsertOutcome,
  type UpsertUserRequestSchema,
  UserService,
} from "../../src/gen/muster/v1/user_service_pb.ts";
import { settledUserEvents } from "../support/settled-events.ts";
import { startApp } from "../support/start-app.ts";

const { db, project } = await startApp();
const HASH = "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc";
type Items = MessageInitShape<typeof UpsertUserRequestSchema>[];

const NAMES = new Map<number, string>(Object.entries(UpsertOutcome).map(([name, value]) => [value, name]));

/** An answer without what differs from call to call: `CREATED`, `CHANGED`, `UNCHANGED`, or the reason. */
const said = ({ outcome, error }: BatchUpsertUsersResult) =>
  error ? anyUnpack(error.details[0] as never, ErrorInfoSchema)?.reason : NAMES.get(outcome);
const userOf = ({ user, created }: BatchUpsertUsersResult) => ({
  created,
  name: user?.name,
  login: user?.login,
  email: user?.email,
  attributes: user?.attributes,
  etag: user?.etag,
});

/** All that a project has, as the database has it. */
async function contents(projectId: string) {
  const tables = ["users", "passwords", "locators", "user_attribute_index", "events", "deleted_users"];
  const rows = tables.map(async (table) => {
    const sql = `select to_jsonb(t) as row from ${table} t where project_id = $1 order by to_jsonb(t)::text`;
    return [table, (await db.pool.query(sql, [projectId])).rows.map(({ row }) => row)];
  });
  return Object.fromEntries(await Promise.all(rows));
}

const BATCH: Items = [
  { externalId: "new", user: { name: "New", login: "new", email: "new@example.org" }, passwordHash: HASH },
  { externalId: "there", user: { name: "There" } },
  {
    externalId: "other",
    user: {
      name: "Other too",
      attributes: { level: { contentType: "text/plain", value: { case: "text", value: "2" } } },
    },
  },
  { externalId: "taker", user: { login: "HELD" } },
  { externalId: "taker", user: { email: "held@example.org" } },
  { externalId: "second", user: { login: "new" } },
  { externalId: "new", user: { name: "New" } },
  { externalId: "new", user: { name: "Newer", login: "newer" } },
  { externalId: "third", user: { login: "new" } },
  { externalId: "bad", user: { login: "no spaces" } },
  { externalId: "bad", passwordHash: "password" },
  {
    externalId: "bad",
    user: { attributes: { undefined: { contentType: "text/plain", value: { case: "text", value: "x" } } } },
  },
  { externalId: "x".repeat(256) },
  { user: { name: "Without an external id" } },
  { externalId: "there", passwordHash: HASH },
  { externalId: "there", passwordHash: HASH },
];

async function roll() {
  const { id, system } = await project();
  const users = system(UserService);
  await users.defineAttribute({ definition: { key: "level", contentTypes: ["text/plain"], filterable: true } });
  await users.batchUpsertUsers({
    users: [
      { externalId: "there", user: { name: "There" } },
      { externalId: "other", user: { name: "Other" } },
      { externalId: "holder", user: { login: "held", email: "held@example.org" } },
    ],
  });
  return { id, users };
}

test("a batch that is only validated is answered item for item as it would be, and then is", async () => {
  const { id, users } = await roll();
  const before = await contents(id);
  const rehearsed = await users.batchUpsertUsers({ users: BATCH, validateOnly: true });
  expect(await contents(id)).toEqual(before);
  const written = await users.batchUpsertUsers({ users: BATCH });
  expect(rehearsed.results.map(said)).toEqual(written.results.map(said));
  expect(rehearsed.results.map(userOf)).toEqual(written.results.map(userOf));
  expect(rehearsed.results.map(({ error }) => error)).toEqual(written.results.map(({ error }) => error));
  expect(written.results.map(said)).toEqual([
    "CREATED",
    "UNCHANGED",
    "CHANGED",
    "LOGIN_TAKEN",
    "LOCATOR_TAKEN",
    "LOGIN_TAKEN",
    "UNCHANGED",
    "CHANGED",
    "LOGIN_TAKEN",
    "REQUEST_INVALID",
    "REQUEST_INVALID",
    "REQUEST_INVALID",
    "REQUEST_INVALID",
    "CREATED",
    "CHANGED",
    "UNCHANGED",
  ]);
  expect(await contents(id)).not.toEqual(before);
});

test("as often as it is validated nothing is written, nothing is emitted and nothing is in the way", async () => {
  const { id, users } = await roll();
  const before = await contents(id);
  const users1000 = Array.from({ length: 1_000 }, (_, i) => ({ externalId: `u${i}`, user: { login: `login${i}` } }));
  const calls = Array.from({ length: 6 }, (_, i) =>
    users.batchUpsertUsers({ users: i % 2 ? users1000 : users1000.toReversed(), validateOnly: true }),
  );
  for (const { results } of await Promise.all(calls)) expect(new Set(results.map(said))).toEqual(new Set(["CREATED"]));
  expect(await contents(id)).toEqual(before);
  expect(await settledUserEvents(db, id)).toHaveLength(3);
  const { results } = await users.batchUpsertUsers({ users: users1000 });
  expect(new Set(results.map(said))).toEqual(new Set(["CREATED"]));
});
