import { randomBytes, randomUUID } from "node:crypto";
import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import { type Any, anyUnpack, durationFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { type Client, createClient, createRouterTransport } from "@connectrpc/connect";
import { afterAll, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { MusterError } from "../../src/errors.ts";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import type { PresenceSchema } from "../../src/gen/muster/v1/presence_pb.ts";
import { PresenceService, type WatchPresenceResponse } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { createLogger } from "../../src/logger.ts";
import { createPageTokens } from "../../src/page-tokens.ts";
import { presenceService } from "../../src/presence/presence-service.ts";
import { CALLER, type Caller } from "../../src/rpc/caller.ts";
import { mapErrors, statusOf } from "../../src/rpc/map-errors.ts";
import { createStreamRegistry } from "../../src/rpc/open-streams.ts";
import { createCheck, validate } from "../../src/rpc/validate.ts";
import { testDatabase } from "../support/database.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { eventually, makeProject, makeUsers, startPresence } from "./presence-fixture.ts";

const db = await testDatabase();
const projectId = await makeProject(db);
const presence = startPresence(db);
const pageTokens = createPageTokens([randomBytes(32)]);
const streams = createStreamRegistry(systemClock);
const statusFor = (error: unknown, signal: AbortSignal) => statusOf(error, signal, createLogger("silent"));
afterAll(() => presence[Symbol.asyncDispose]());

function clientOf(caller: Caller): Client<typeof PresenceService> {
  const transport = createRouterTransport(
    ({ service }) => service(PresenceService, presenceService(presence, { streams, pageTokens, statusOf: statusFor })),
    {
      router: {
        interceptors: [
          mapErrors(createLogger("silent")),
          (next) => (request) => {
            request.contextValues.set(CALLER, caller);
            return next(request);
          },
          validate(createCheck()),
        ],
      },
    },
  );
  return createClient(PresenceService, transport);
}

const client = clientOf({ kind: "system", projectId, accessKeyId: randomUUID() });
const byId = (value: string) => ({ ref: { case: "id", value } }) as const;

test("a nested presence comes back as its first link, with when and into what it turns", async () => {
  const [user = ""] = await makeUsers(db, projectId, 1);
  const metadata: JsonObject = { room: "42", deep: { list: [1, null] } };
  const { presence: accepted } = await client.setPresence({
    ref: { ref: { case: "externalId", value: `ext-${user}` } },
    presence: {
      status: "online",
      message: "at my desk",
      metadata,
      ttl: durationFromMs(60_000),
      expiresTo: { status: "away" },
    },
  });
  expect(accepted).toMatchObject({
    userId: user,
    externalId: `ext-${user}`,
    status: "online",
    message: "at my desk",
    metadata,
    nextStatus: "away",
    step: 0,
  });
  const { sinceTime, untilTime } = accepted ?? {};
  expect(untilTime && sinceTime && timestampMs(untilTime) - timestampMs(sinceTime)).toBe(60_000);
  expect((await client.getPresence({ ref: byId(user) })).presence).toEqual(accepted);
});

function nested(depth: number): MessageInitShape<typeof PresenceSchema> {
  let presence: MessageInitShape<typeof PresenceSchema> = { status: "last" };
  for (let n = 1; n < depth; n++) presence = { status: "s", ttl: durationFromMs(1_000), expiresTo: presence };
  return presence;
}

test("64 links are a chain, 65 are refused at the field that is too much", async () => {
  const [user = ""] = await makeUsers(db, projectId, 1);
  const put = (depth: number) => client.setPresence({ ref: byId(user), presence: nested(depth) });
  expect((await put(64)).presence).toMatchObject({ status: "s", step: 0 });
  const { reason, fields } = await refusalOf(put(65));
  expect({ reason, fields }).toEqual({ reason: "REQUEST_INVALID", fields: [`presence${".expires_to".repeat(64)}`] });
});

test.each([
  ["an empty status", { status: "" }, "presence.status"],
  ["a status of 65 characters", { status: "x".repeat(65) }, "presence.status"],
  ["expires_to without a ttl", { status: "a", expiresTo: { status: "b" } }, "presence"],
  ["a ttl below 10 ms", { status: "a", ttl: durationFromMs(9) }, "presence.ttl"],
  ["a ttl of nothing", { status: "a", ttl: durationFromMs(0) }, "presence.ttl"],
  ["a negative ttl", { status: "a", ttl: durationFromMs(-5) }, "presence.ttl"],
  ["more than 4 KiB", { status: "a", metadata: { text: "x".repeat(4_096) } }, "presence"],
])("%s is refused, and the field named", async (_, value, field) => {
  const [user = ""] = await makeUsers(db, projectId, 1);
  const { reason, fields } = await refusalOf(client.setPresence({ ref: byId(user), presence: value }));
  expect({ reason, fields }).toEqual({ reason: "REQUEST_INVALID", fields: [field] });
});

test("many are read at once, and those that are not there are listed", async () => {
  const [one = "", two = ""] = await makeUsers(db, projectId, 2);
  const nobody = randomUUID();
  const refs = [byId(two), byId(nobody), { ref: { case: "externalId", value: `ext-${one}` } } as const, byId(two)];
  const { presences, missing } = await client.batchGetPresence({ refs });
  expect(presences.map(({ userId }) => userId)).toEqual([two, one]);
  expect(missing).toMatchObject([byId(nobody)]);
  expect(await reasonOf(client.getPresence({ ref: byId(nobody) }))).toBe("USER_NOT_FOUND");
});

test("a watch is changed by whoever opened it, and gone on from by its token", async () => {
  const [user = "", added = ""] = await makeUsers(db, projectId, 2);
  const seen: string[] = [];
  let watchId = "";
  let resumeToken: Uint8Array<ArrayBufferLike> = new Uint8Array();
  const leaving = new AbortController();
  const read = async () => {
    for await (const { event, ...message } of client.watchPresence(
      { refs: [byId(user)] },
      { signal: leaving.signal },
    )) {
      resumeToken = message.resumeToken;
      if (event.case === "opened") watchId = event.value.watchId;
      if (event.case === "update") seen.push(...event.value.presences.map(({ userId }) => userId));
      if (event.case === "snapshotComplete") await client.updateWatch({ watchId, add: [byId(added)] });
      if (seen.includes(added)) break;
    }
  };
  await read();
  leaving.abort();
  await eventually(() => streams.size === 0);
  expect(seen).toEqual([user, added]);
  expect(await reasonOf(client.updateWatch({ watchId }))).toBe("WATCH_NOT_FOUND");
  const cases: unknown[] = [];
  const again = new AbortController();
  const request = { refs: [byId(user), byId(added)], resumeToken: new Uint8Array(resumeToken) };
  for await (const { event } of client.watchPresence(request, { signal: again.signal })) {
    cases.push(event.case === "opened" ? event.value.resumed : event.case);
    if (event.case === "snapshotComplete") break;
  }
  again.abort();
  await eventually(() => streams.size === 0);
  expect(cases).toEqual([true, "snapshotComplete"]);
});

test("a batch sets the presence of each user, and says of each item what came of it", async () => {
  const [ada = "", bob = "", cid = ""] = await makeUsers(db, projectId, 3);
  const twentyDays = durationFromMs(20 * 86_400_000);
  const long = {
    status: "x",
    ttl: twentyDays,
    expiresTo: { status: "y", ttl: twentyDays, expiresTo: { status: "z" } },
  };
  const watching = new AbortController();
  const messages: WatchPresenceResponse[] = [];
  const reading = (async () => {
    const refs = [byId(ada), byId(bob)];
    for await (const message of client.watchPresence({ refs }, { signal: watching.signal })) messages.push(message);
  })();
  await eventually(() => messages.some(({ event }) => event.case === "snapshotComplete"));
  const { results } = await client.batchSetPresence({
    presences: [
      { ref: byId(ada), presence: { status: "busy" } },
      { ref: byId(randomUUID()), presence: { status: "busy" } },
      { ref: { ref: { case: "externalId", value: `ext-${bob}` } }, presence: { status: "away" } },
      { ref: { ref: { case: "externalId", value: "nobody" } }, presence: { status: "busy" } },
      { ref: byId(cid), presence: long },
      { ref: byId(ada), presence: { status: "online" } },
    ],
  });
  const outcomes = results.map(({ presence: set, error }) => set?.status ?? reasonIn(error?.details ?? []));
  expect(outcomes).toEqual(["online", "USER_NOT_FOUND", "away", "USER_NOT_FOUND", "REQUEST_INVALID", "online"]);
  const told = () => messages.flatMap(({ event }) => (event.case === "update" ? event.value.presences : []));
  await eventually(() => ["online", "away"].every((status) => told().some((it) => it.status === status)));
  expect((await client.getPresence({ ref: byId(cid) })).presence?.status).toBe("offline");
  watching.abort();
  await reading.catch(() => {});
  await eventually(() => streams.size === 0);
});

test("a batch takes a thousand, and is refused whole for an item without a user or a presence", async () => {
  const users = await makeUsers(db, projectId, 1_000);
  const presences = users.map((user) => ({ ref: byId(user), presence: { status: "online" } }));
  const { results } = await client.batchSetPresence({ presences });
  expect(results.filter(({ presence: set }) => set?.status === "online")).toHaveLength(1_000);
  const [one] = presences;
  for (const wrong of [
    [],
    [...presences, one ?? {}],
    [one ?? {}, { presence: { status: "online" } }],
    [{ ref: one?.ref }],
  ])
    expect(await reasonOf(client.batchSetPresence({ presences: wrong as never }))).toBe("REQUEST_INVALID");
  const me = { ref: { case: "me", value: true } } as const;
  const itself = client.batchSetPresence({ presences: [{ ref: me, presence: { status: "online" } }] });
  expect(await reasonOf(itself)).toBe("RESERVED_USER");
});

const reasonIn = (details: readonly Any[]) =>
  details.map((detail) => anyUnpack(detail, ErrorInfoSchema)?.reason).find(Boolean);

test("a stream on the wire goes from opened to goodbye, and its place among the open ones is given back", async () => {
  const [user = ""] = await makeUsers(db, projectId, 1);
  const messages: WatchPresenceResponse[] = [];
  const reading = (async () => {
    for await (const message of client.watchPresence({ refs: [byId(user)] })) messages.push(message);
  })();
  await eventually(() => messages.some(({ event }) => event.case === "snapshotComplete"));
  expect(streams.size).toBe(1);
  await client.setPresence({ ref: byId(user), presence: { status: "busy" } });
  await eventually(() => messages.length === 4);
  streams.endAll(new MusterError("SHUTTING_DOWN"));
  expect(await reasonOf(reading)).toBe("SHUTTING_DOWN");
  expect(messages.map(({ event }) => event.case)).toEqual([
    "opened",
    "update",
    "snapshotComplete",
    "update",
    "goodbye",
  ]);
  expect(messages[3]?.event.value).toMatchObject({ presences: [{ userId: user, status: "busy" }] });
  expect(streams.size).toBe(0);
});
