import { createClient, type Transport } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-node";
import pg from "pg";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { connectionOptions } from "../../src/db/orm.ts";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import type { ExportUserResponse } from "../../src/gen/muster/v1/user_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { createGrpcJsClient, grpcJsReasonOf } from "../clients/support/grpc-js.ts";
import { testDatabaseAddress } from "../support/database.ts";
import { NAUGHTY_STRINGS } from "../support/naughty-strings.ts";
import { reasonOf } from "../support/refusal.ts";
import { PROTOCOLS, startTestServer } from "../support/start-test-server.ts";
import { text } from "../users/attributes-fixture.ts";
import { addEvents, byId, type Exported, textOf } from "../users/export-fixture.ts";

const address = await testDatabaseAddress();
type TestServer = Awaited<ReturnType<typeof startTestServer>>;

/** A connection of the test's own. */
async function connect(): Promise<pg.Client> {
  const connection = new pg.Client(connectionOptions(address));
  await connection.connect();
  onTestFinished(() => connection.end());
  return connection;
}

/** A server, and a user with so many events beside that of its creation. */
async function withHistory(events: number) {
  const server = await startTestServer({ address });
  const project = await server.project();
  const { user } = await project.system(UserService).upsertUser({ externalId: "alice" });
  const id = user?.id ?? "";
  const connection = await connect();
  await addEvents({ pool: connection as unknown as pg.Pool }, project.id, id, events);
  return { server, project, id, connection };
}

const WEB = ["gRPC-Web, HTTP/1.1", "gRPC-Web, HTTP/2"] as const;

function transportOf(
  server: TestServer,
  way: (typeof PROTOCOLS)[number] | (typeof WEB)[number],
  credential: string,
): Transport {
  if (way !== WEB[0] && way !== WEB[1]) return server.transport(way, credential);
  return createGrpcWebTransport({
    baseUrl: server.url,
    httpVersion: way === WEB[0] ? "1.1" : "2",
    interceptors: [
      (next) => (request) => {
        request.header.set("authorization", `Bearer ${credential}`);
        return next(request);
      },
    ],
  });
}

describe.each([...PROTOCOLS, ...WEB])("%s:", (way) => {
  test("a user gets its export, and every string in it as it was written", async () => {
    const { server, project, id } = await withHistory(2_000);
    const users = project.system(UserService);
    const definition = { key: "note", contentTypes: ["text/plain"] };
    await users.defineAttribute({ definition });
    const metadata = { list: [...NAUGHTY_STRINGS] };
    const note = NAUGHTY_STRINGS.filter((naughty) => naughty.length < 100).join(" ");
    await users.updateUser({ ref: byId(id), user: { metadata, attributes: { note: text(note) } } });
    const reasons = NAUGHTY_STRINGS.filter((naughty) => Array.from(naughty).length <= 1_000).slice(-100);
    for (const reason of reasons) await users.suspendUser({ ref: byId(id), suspension: { reason } });
    const message = NAUGHTY_STRINGS.filter((naughty) => naughty.length < 100)[7] ?? "";
    await project.system(PresenceService).setPresence({ ref: byId(id), presence: { status: "online", message } });
    const client = createClient(UserService, transportOf(server, way, project.accessKey));
    const document = JSON.parse(await textOf(client.exportUser({ ref: byId(id) }))) as Exported;
    expect(document.user["metadata"]).toEqual(metadata);
    expect(document.attributes["note"]).toEqual({ content_type: "text/plain", text: note });
    const suspensions = document["suspensions"] as { reason?: string }[];
    expect(suspensions.map(({ reason = "" }) => reason)).toEqual(reasons);
    expect(document.presence).toMatchObject({ steps: [{ status: "online", message }] });
    // Its creation, what was added, the change of its profile, and the suspensions.
    expect(document.events).toHaveLength(2_002 + reasons.length);
    expect(document.events.slice(-reasons.length).map(({ data }) => data?.["suspension"])).toEqual(
      reasons.map((reason) => expect.objectContaining({ reason })),
    );
  });

  test("who is not there is refused with a reason, and so is one that goes meanwhile", async () => {
    const { server, project, id } = await withHistory(20_000);
    const client = createClient(UserService, transportOf(server, way, project.accessKey));
    const nobody = byId("00000000-0000-7000-8000-000000000000");
    expect(await reasonOf(textOf(client.exportUser({ ref: nobody })))).toBe("USER_NOT_FOUND");
    const reading = async () => {
      for await (const _ of client.exportUser({ ref: byId(id) }))
        await project
          .system(UserService)
          .deleteUser({ ref: byId(id) })
          .catch(() => {});
    };
    expect(await reasonOf(reading())).toBe("USER_DELETED");
  });
});

/** Counts the pages of events that servers in this process ask for. */
function countPages(): () => number {
  const asked = vi.spyOn(pg.Client.prototype, "query");
  onTestFinished(() => asked.mockRestore());
  const isPage = ([query]: unknown[]) =>
    String((query as { text?: string } | undefined)?.text).includes("from events where");
  return () => asked.mock.calls.filter((call) => isPage(call as unknown[])).length;
}

/** What a count comes to rest at. */
async function resting(count: () => number): Promise<number> {
  let last = count();
  let same = 0;
  await expect
    .poll(
      () => {
        same = count() === last ? same + 1 : 0;
        last = count();
        return same;
      },
      { interval: 100 },
    )
    .toBeGreaterThan(10);
  return last;
}

test("of 100,000 events a server reads no more than its reader takes, and all of them arrive", async () => {
  const EVENTS = 100_000;
  const { server, project, id } = await withHistory(EVENTS);
  const client = createGrpcJsClient(server.url, project.accessKey);
  onTestFinished(() => client.close());
  const pages = countPages();
  const stream = client.stream(UserService.method.exportUser, { ref: byId(id) });
  const chunks: Uint8Array[] = [];
  stream.once("data", ({ chunk }: ExportUserResponse) => {
    chunks.push(chunk);
    stream.pause();
  });
  await expect.poll(pages).toBeGreaterThan(0);
  // A page has 100 events.
  expect(await resting(pages)).toBeLessThan(EVENTS / 100 / 4);
  const ended = new Promise<void>((settle, fail) => stream.once("end", settle).once("error", fail));
  stream.on("data", ({ chunk }: ExportUserResponse) => void chunks.push(chunk));
  stream.resume();
  await ended;
  expect(Math.max(...chunks.map(({ length }) => length))).toBe(65_536);
  const { events } = JSON.parse(Buffer.concat(chunks).toString("utf8")) as Exported;
  expect(events).toHaveLength(EVENTS + 1);
  expect(new Set(events.map((event) => event.id)).size).toBe(EVENTS + 1);
});

test("a reader that leaves stops the query that runs for it, and no other is begun", async () => {
  const { server, project, id, connection } = await withHistory(10);
  const pages = countPages();
  const holder = await connect();
  await holder.query("begin");
  await holder.query("lock table events in access exclusive mode");
  const waiting = async () => {
    const { rowCount } = await connection.query(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%from events where%'`,
    );
    return rowCount;
  };
  const client = createGrpcJsClient(server.url, project.accessKey);
  onTestFinished(() => client.close());
  const stream = client.stream(UserService.method.exportUser, { ref: byId(id) });
  const failure = new Promise<{ code: number }>((settle) => stream.once("error", settle as () => void));
  stream.resume();
  await expect.poll(waiting).toBe(1);
  stream.cancel();
  expect((await failure).code).toBe(1);
  await expect.poll(waiting).toBe(0);
  await holder.query("rollback");
  expect(await resting(pages)).toBe(1);
});

test("a server that stops ends the exports that it streams, and says so", async () => {
  const { server, project, id } = await withHistory(50_000);
  const client = createGrpcJsClient(server.url, project.accessKey);
  onTestFinished(() => client.close());
  const stream = client.stream(UserService.method.exportUser, { ref: byId(id) });
  const failure = new Promise<Parameters<typeof grpcJsReasonOf>[0]>((settle) => stream.once("error", settle));
  const chunks: Uint8Array[] = [];
  stream.on("data", ({ chunk }: ExportUserResponse) => {
    if (chunks.push(chunk) === 1) stream.pause();
  });
  await expect.poll(() => chunks.length).toBe(1);
  const drained = server.server.drain();
  stream.resume();
  expect(grpcJsReasonOf(await failure)).toBe("SHUTTING_DOWN");
  await drained;
  expect(() => JSON.parse(Buffer.concat(chunks).toString("utf8"))).toThrow(SyntaxError);
});
