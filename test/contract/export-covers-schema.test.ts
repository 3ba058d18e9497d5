import { globSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { messageNameOf } from "../../src/events/events-export.ts";
import { EXPORT_SECTIONS } from "../../src/export-sections.ts";
import { file_muster_v1_event } from "../../src/gen/muster/v1/event_pb.ts";
import { testDatabase } from "../support/database.ts";
import { exportGaps } from "./export-gaps.ts";

const { pool } = await testDatabase();

/** THE list of tables that hold nothing of one user, with the reason. */
const IMPERSONAL: Readonly<Record<string, string>> = {
  projects: "what a project is called and how it is set",
  access_keys: "credentials of the project's own servers",
  signing_keys: "keys that sign for all users of a project",
  external_keys: "keys of the project's own system, which signs for all its users",
  external_jwts: "digests of what JWTs call themselves, which nobody can be found by",
  providers: "who else may prove a user, not whom",
  webhooks: "where events are sent to, not what is sent",
  attribute_definitions: "what values users may have, not those they have",
  deleted_users: "ids of users that are gone: there is nobody to export",
  avatar_removals: "objects that are no user's any more, to be removed from a bucket",
  attempts: "counters under digests of what they count, which nobody can be found by",
  event_removals: "up to where the history of a project has been removed",
  audit_seals: "what proves that audit entries are those that were written, and tells nothing of them",
  jobs: "when which job of the deployment runs",
  migrations: "which migrations ran",
};

/** What is said in addition once the database has one thing more. */
async function gapsWith(...statements: string[]): Promise<string[]> {
  const client = await pool.connect();
  try {
    await client.query("begin");
    const before = await exportGaps(client, EXPORT_SECTIONS, IMPERSONAL);
    for (const statement of statements) await client.query(statement);
    const after = await exportGaps(client, EXPORT_SECTIONS, IMPERSONAL);
    return after.filter((gap) => !before.includes(gap));
  } finally {
    await client.query("rollback");
    client.release();
  }
}

test("an export of a user tells of every table that holds something of it, and of every column or why not", async () => {
  expect(await exportGaps(pool, EXPORT_SECTIONS, IMPERSONAL)).toEqual([]);
});

test("a table that is made later is asked for: one with a user_id, one that hangs on users, and one of which it is not known", async () => {
  const hanging = "foreign key (project_id, holder) references users (project_id, id) on delete cascade";
  expect(await gapsWith("create table later (project_id uuid, user_id uuid)")).toEqual([
    expect.stringContaining("table later holds something of a user"),
  ]);
  const made = [
    `create table later (project_id uuid, holder uuid, id uuid primary key, ${hanging})`,
    "create table below (later_id uuid references later (id))",
  ];
  expect(await gapsWith(...made)).toEqual([
    expect.stringContaining("table below holds something of a user"),
    expect.stringContaining("table later holds something of a user"),
  ]);
  expect(await gapsWith("create table later (project_id uuid)")).toEqual([
    expect.stringContaining("not said whether the table later"),
  ]);
});

test("a column that is made later is asked for, and one that goes is missed", async () => {
  expect(await gapsWith("alter table tokens add column digest bytea")).toEqual([
    expect.stringContaining("column tokens.digest is neither exported nor withheld"),
  ]);
  expect(await gapsWith("alter table tokens drop column revoke_time")).toEqual([
    expect.stringContaining("no column tokens.revoke_time"),
  ]);
});

test("bytes and what secrets are checked by cannot be exported", async () => {
  const sections = EXPORT_SECTIONS.map((section) =>
    section.name === "locator_codes"
      ? { ...section, tables: { locator_codes: { exported: ["sealed_digest"] } } }
      : section,
  );
  const gaps = await exportGaps(pool, sections, IMPERSONAL);
  expect(gaps).toContainEqual(expect.stringContaining("column locator_codes.sealed_digest is bytes or a secret"));
});

test("each member of the document has its place in the guide", () => {
  const guide = readFileSync("docs/export.md", "utf8");
  const members = EXPORT_SECTIONS.map(({ name }) => name);
  expect(new Set(members).size).toBe(members.length);
  expect(members.filter((name) => !guide.includes(`| \`${name}\` |`))).toEqual([]);
});

test("the data of every type of event is a message of the contract: of others, a user that exports itself sees nothing", () => {
  const sources = globSync("src/**/*.ts").map((path) => readFileSync(path, "utf8"));
  const types = new Set(sources.flatMap((text) => [...text.matchAll(/"([a-z]+\.[a-z_]+)"/g)].map((it) => it[1] ?? "")));
  const events = [...types].filter((type) => sources.some((text) => isEvent(text, type)));
  expect(events).toEqual(
    expect.arrayContaining(["user.created", "user.deleted", "user.suspended", "user.suspension_lifted"]),
  );
  const messages = file_muster_v1_event.messages.map(({ typeName }) => typeName);
  expect(events.map(messageNameOf).filter((name) => !messages.includes(name))).toEqual([]);
});

/** Whether a source that appends events names this one: as `type`, or as what it makes an event by. */
const isEvent = (text: string, type: string): boolean =>
  text.includes("append-event.ts") && (text.includes(`type: "${type}"`) || text.includes(`event("${type}"`));
