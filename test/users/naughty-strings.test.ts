import { isDeepStrictEqual } from "node:util";
import { fromJson, type MessageInitShape } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import type { Client } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import type { Status } from "../../src/gen/google/rpc/status_pb.ts";
import { UserCreatedEventSchema } from "../../src/gen/muster/v1/event_pb.ts";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import type { User, UserSchema } from "../../src/gen/muster/v1/user_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { skeletonOf } from "../../src/skeleton.ts";
import { NAUGHTY_STRINGS } from "../support/naughty-strings.ts";
import { refusalOf } from "../support/refusal.ts";
import { settledUserEvents } from "../support/settled-events.ts";
import { startApp } from "../support/start-app.ts";
import { reachBy, WAYS } from "../support/ways.ts";
import { text } from "./attributes-fixture.ts";

const app = await startApp();

interface WrittenField {
  readonly field: keyof User;
  write(naughty: string): MessageInitShape<typeof UserSchema>;
  /** Whether it has to be taken; left out: it may break a rule of the field. */
  takes?(naughty: string): boolean;
}

const upTo = (most: number) => (naughty: string) => Array.from(naughty).length <= most;
const keyed = (key: string) => Object.fromEntries([[key, Object.fromEntries([[key, 1]])]]);
/** Of all strings one alone is no key: the edge refuses it. */
const KEYS = NAUGHTY_STRINGS.filter((naughty) => naughty !== "__proto__");

const FIELDS: readonly WrittenField[] = [
  { field: "name", write: (name) => ({ name }), takes: upTo(255) },
  { field: "bio", write: (bio) => ({ bio }), takes: upTo(4_000) },
  { field: "tags", write: (tag) => ({ tags: [tag, "other"] }), takes: upTo(64) },
  { field: "metadata", write: (value) => ({ metadata: { value, list: [value] } }), takes: () => true },
  { field: "privateMetadata", write: (value) => ({ privateMetadata: { list: [[value]] } }), takes: () => true },
  { field: "avatarUrl", write: (avatarUrl) => ({ avatarUrl }) },
  { field: "website", write: (path) => ({ website: `https://example.org/${path}` }) },
  { field: "timeZone", write: (timeZone) => ({ timeZone }) },
  { field: "login", write: (login) => ({ login }) },
  { field: "email", write: (local) => ({ email: `${local}@example.org` }) },
  { field: "phone", write: (phone) => ({ phone }) },
];
const KEYED_FIELDS: readonly WrittenField[] = [
  { field: "metadata", write: (key) => ({ metadata: keyed(key) }), takes: () => true },
  { field: "privateMetadata", write: (key) => ({ privateMetadata: keyed(key) }), takes: () => true },
];
const REFUSALS = ["REQUEST_INVALID", "LOGIN_TAKEN", "LOCATOR_TAKEN"];

/** The reason that an item of a batch failed for. */
function reasonIn(status: Status | undefined): string | undefined {
  const infos = (status?.details ?? []).map((detail) => anyUnpack(detail, ErrorInfoSchema));
  return status && (infos.find(Boolean)?.reason ?? status.message);
}

async function readAll(users: Client<typeof UserService>, written: readonly { user?: User | undefined }[]) {
  const refs = written.flatMap(({ user }) => (user ? [{ ref: { case: "id" as const, value: user.id } }] : []));
  const read = refs.length > 0 ? (await users.batchGetUsers({ refs })).users : [];
  return new Map(read.map((user) => [user.id, user]));
}

/** What became of strings in a field, each in a user of its own: those that neither came back nor were refused where that is right. */
async function faultsOf(
  users: Client<typeof UserService>,
  { field, write, takes }: WrittenField,
  strings: readonly string[],
) {
  const sent = strings.map(write);
  const { results } = await users.batchUpsertUsers({ users: sent.map((user) => ({ user })) });
  const read = await readAll(users, results);
  return results.flatMap(({ user, error }, i) => {
    const expected = (sent[i] as User)[field];
    const kept = [user, user && read.get(user.id)].every((answer) => isDeepStrictEqual(answer?.[field], expected));
    const fate = reasonIn(error) ?? (kept ? "kept" : "changed");
    const right = takes?.(strings[i] ?? "") ? ["kept"] : takes ? ["REQUEST_INVALID"] : ["kept", ...REFUSALS];
    return right.includes(fate) ? [] : [{ field, fate, string: JSON.stringify(strings[i]) }];
  });
}

test.each(WAYS)("a user's fields give back what was written, byte by byte, or refuse it: by %s", async (way) => {
  const users = (await reachBy(app, way)).system(UserService);
  for (const field of FIELDS) expect(await faultsOf(users, field, NAUGHTY_STRINGS)).toEqual([]);
  for (const field of KEYED_FIELDS) expect(await faultsOf(users, field, KEYS)).toEqual([]);
});

test.each(WAYS)("every external id that fits is a user of its own, by which it alone is found: by %s", async (way) => {
  const users = (await reachBy(app, way)).system(UserService);
  const fits = NAUGHTY_STRINGS.filter((naughty) => Buffer.byteLength(naughty) <= 255);
  const { results } = await users.batchUpsertUsers({
    users: fits.map((externalId) => ({ externalId, user: { name: externalId } })),
  });
  expect(results.map(({ user }) => user?.externalId)).toEqual(fits);
  expect(results.filter(({ created }) => !created)).toEqual([]);
  expect(new Set(results.map(({ user }) => user?.id)).size).toBe(fits.length);
  const again = await users.batchUpsertUsers({ users: fits.map((externalId) => ({ externalId })) });
  expect(again.results.map(({ user }) => user?.id)).toEqual(results.map(({ user }) => user?.id));
  const read = await users.batchGetUsers({ refs: fits.map((value) => ({ ref: { case: "externalId", value } })) });
  expect(read.users.map(({ id, name }) => [id, name])).toEqual(results.map(({ user }, i) => [user?.id, fits[i]]));
  const tooLong = users.upsertUser({ externalId: "ß".repeat(128) });
  expect(await refusalOf(tooLong)).toMatchObject({ reason: "REQUEST_INVALID", fields: ["external_id"] });
});

/** The user that an identifier finds; undefined: nobody, also because it is none. */
const found = (users: Client<typeof UserService>, by: "login" | "email", value: string) =>
  users.getUser({ ref: { ref: { case: by, value } } }).then(
    ({ user }) => user,
    () => undefined,
  );

/** Canonically equal text (Unicode Standard, D70), without regard to case. */
const spelled = (value: string) => value.normalize("NFC").toLowerCase();

const EMAILS = [
  ...NAUGHTY_STRINGS.map((local) => `${local}@example.org`),
  ...NAUGHTY_STRINGS.map((label) => `box@${label}.example`),
];

test.each([
  ["login", "LOGIN_TAKEN", NAUGHTY_STRINGS],
  ["email", "LOCATOR_TAKEN", EMAILS],
] as const)(
  "no two users share one %s: what is equal to that of another user, or looks like its login, is %s",
  async (by, taken, values) => {
    const users = (await reachBy(app, "the chain alone")).system(UserService);
    const { results } = await users.batchUpsertUsers({ users: values.map((value) => ({ user: { [by]: value } })) });
    const owners = new Map<string, string>();
    const looks = new Set<string>();
    const outcomes = new Set<string>();
    const faults: unknown[] = [];
    for (const [i, { user, error }] of results.entries()) {
      const value = values[i] ?? "";
      const outcome = reasonIn(error) ?? "created";
      outcomes.add(outcome);
      const owner = await found(users, by, value);
      const right: Record<string, boolean> = {
        created: owner?.id === user?.id && owner?.[by] === value,
        // What looks like a login finds nobody.
        [taken]: owner ? owners.has(owner.id) : by === "login" && looks.has(skeletonOf(value)),
        // What may not be taken may still be another spelling of the same text, and then finds its owner.
        REQUEST_INVALID: owner === undefined || spelled(owner[by]) === spelled(value),
      };
      if (!right[outcome]) faults.push({ outcome, value, finds: owner?.[by] });
      if (user) owners.set(user.id, value);
      if (user) looks.add(skeletonOf(value));
    }
    expect(faults).toEqual([]);
    expect([...outcomes].toSorted()).toEqual(["REQUEST_INVALID", "created", taken].toSorted());
    expect(new Set(owners.keys()).size).toBe(results.filter(({ created }) => created).length);
  },
);

test("`user.created` tells of every string as it was written", async () => {
  const { projectId, system } = await reachBy(app, "the chain alone");
  const names = NAUGHTY_STRINGS.filter(upTo(255));
  const metadata = Object.fromEntries(KEYS.slice(-90).map((key) => [key, key.slice(0, 8)]));
  await system(UserService).batchUpsertUsers({
    users: names.map((name) => ({ user: { name, tags: [name.slice(0, 2)], metadata } })),
  });
  const events = await settledUserEvents(app.db, projectId);
  const told = events.map(({ data }) => fromJson(UserCreatedEventSchema, data as never).user);
  expect(told).toHaveLength(names.length);
  expect(new Set(told.map((user) => user?.name))).toEqual(new Set(names));
  expect(told.filter((user) => !isDeepStrictEqual(user?.metadata, metadata))).toEqual([]);
});

/** Writes one string and reads it back. `at` is its place in the list. */
type Pass = (naughty: string, at: number) => Promise<unknown>;

/** What is wrong with what became of strings, so many at a time, and how many came back as they were. */
async function fatesOf(strings: readonly string[], atOnce: number, pass: Pass) {
  const fateOf = async (naughty: string, at: number) =>
    pass(naughty, at).then(
      (back) => (back === naughty ? "kept" : `changed to ${JSON.stringify(back)}`),
      async (error: unknown) => (await refusalOf(Promise.reject(error))).reason as string,
    );
  const fates: string[] = [];
  for (let at = 0; at < strings.length; at += atOnce)
    fates.push(...(await Promise.all(strings.slice(at, at + atOnce).map((naughty, i) => fateOf(naughty, at + i)))));
  const faults = fates.flatMap((fate, at) =>
    fate === "kept" || fate === "REQUEST_INVALID" ? [] : [{ fate, string: JSON.stringify(strings[at]) }],
  );
  return { faults, kept: fates.filter((fate) => fate === "kept").length };
}

const userAt = (at: number) => ({ ref: { case: "externalId", value: `user ${at}` } }) as const;

test.each(WAYS)(
  "presences, attributes and what tokens say come back as they were written, or are refused: by %s",
  async (way) => {
    const { system } = await reachBy(app, way);
    const users = system(UserService);
    const [presences, tokens] = [system(PresenceService), system(TokenService)];
    await users.batchUpsertUsers({ users: NAUGHTY_STRINGS.map((_, at) => ({ externalId: userAt(at).ref.value })) });
    await users.defineAttribute({ definition: { key: "note", contentTypes: ["text/plain", "application/json"] } });
    const present = async (at: number, presence: object) => {
      await presences.setPresence({ ref: userAt(at), presence: { status: "online", ...presence } });
      return (await presences.getPresence({ ref: userAt(at) })).presence;
    };
    const noted = async (at: number, note: ReturnType<typeof text>) => {
      const { user } = await users.setAttributes({ ref: userAt(at), attributes: { note } });
      return user?.attributes["note"]?.value.value;
    };
    const PASSES: [string, least: number, Pass][] = [
      ["status", 200, async (status, at) => (await present(at, { status }))?.status],
      ["message", 215, async (message, at) => (await present(at, { message }))?.message],
      ["metadata", 225, async (line, at) => (await present(at, { metadata: { line } }))?.metadata?.["line"]],
      ["text", NAUGHTY_STRINGS.length, (value, at) => noted(at, text(value))],
      [
        "JSON",
        NAUGHTY_STRINGS.length - 1,
        async (value, at) => JSON.parse(String(await noted(at, text(JSON.stringify([value]), "application/json"))))[0],
      ],
      [
        "claim and audience",
        200,
        async (value, at) => {
          const { signedToken } = await tokens.issueToken({ ref: userAt(at), audience: [value], claims: { value } });
          const payload = JSON.parse(String(Buffer.from(signedToken.split(".")[1] ?? "", "base64url")));
          expect(payload.value).toBe(value);
          return [payload.aud].flat()[0];
        },
      ],
    ];
    for (const [what, least, pass] of PASSES) {
      const { faults, kept } = await fatesOf(NAUGHTY_STRINGS, 33, pass);
      expect(faults, what).toEqual([]);
      expect(kept, what).toBeGreaterThanOrEqual(least);
    }
  },
);

test.each(WAYS)(
  "names of projects and access keys come back as they were written, or are refused: by %s",
  async (way) => {
    const projects = (await reachBy(app, way)).system(ProjectService);
    // A project has one name at a time and no more than 100 keys, so the ways share the strings.
    const share = NAUGHTY_STRINGS.filter((_, at) => at % WAYS.length === WAYS.indexOf(way));
    const named = await fatesOf(share, 1, async (displayName) => {
      await projects.updateProject({ displayName });
      return (await projects.getProject({})).project?.displayName;
    });
    const keys = await fatesOf(share, 11, async (displayName) => {
      const { key } = await projects.createAccessKey({ displayName });
      const listed = await projects.listAccessKeys({});
      return listed.keys.find(({ id }) => id === key?.id)?.displayName;
    });
    for (const { faults, kept } of [named, keys]) {
      expect(faults).toEqual([]);
      expect(kept).toBeGreaterThanOrEqual(share.length - 5);
    }
  },
);
