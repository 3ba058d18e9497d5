import { once } from "node:events";
import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test, vi } from "vitest";
import { createReadRow, type Refusal } from "../../src/cli/bulk/import-row.ts";
import type { ImportProgress } from "../../src/cli/bulk/import-state.ts";
import { type ImportInput, type ImportPorts, importUsers } from "../../src/cli/bulk/import-users.ts";
import { createRetryCalls } from "../../src/cli/bulk/retry-calls.ts";
import { systemClock } from "../../src/clock.ts";
import { MusterError } from "../../src/errors.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { createLogger } from "../../src/logger.ts";
import { wireError } from "../../src/rpc/map-errors.ts";
import { startApp } from "../support/start-app.ts";

const { project } = await startApp();
const never = new AbortController().signal;

type Users = ImportPorts["users"];
type Overrides = Partial<Omit<ImportInput, "source">> & { readonly users?: (users: Users) => Users };

/** A project, an import into it, and what the import said. */
async function importing(lines: readonly unknown[], { users: faulty = (users) => users, ...input }: Overrides = {}) {
  const { system } = await project();
  const client = system(UserService);
  const refused: Refusal[] = [];
  const notes: ImportProgress[] = [];
  const waits: string[] = [];
  const text = lines.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`).join("");
  const source = async function* () {
    yield Buffer.from(text);
  };
  const stop = input.stop ?? never;
  const ports: ImportPorts = {
    users: faulty(client),
    retry: createRetryCalls({ clock: systemClock, stop, onWait: (message) => waits.push(message) }),
    signal: never,
    dryRun: false,
    errors: {
      bytes: 0,
      write: async (written) =>
        void refused.push(
          ...written
            .trim()
            .split("\n")
            .map((it) => JSON.parse(it) as Refusal),
        ),
    },
    state: { note: (progress) => notes.push(progress), flush: async () => {}, remove: async () => {} },
    onProgress: () => {},
  };
  const run = () =>
    importUsers(ports, { source: source(), name: "it", resume: undefined, parallel: 4, stop, ...input });
  const names = async () => {
    const { users } = await client.listUsers({ pageSize: 1_000, orderBy: "external_id" });
    return Object.fromEntries(users.map(({ externalId, name }) => [externalId, name]));
  };
  return { run, names, refused, notes, waits, text, client };
}

const row = (externalId: string, name: string) => ({ external_id: externalId, user: { name } });
const numbered = (count: number) => Array.from({ length: count }, (_, i) => row(`u${i}`, `User ${i}`));

/** A client whose nth call to write is done by `act` instead. */
const atCall = (
  n: number,
  act: (call: () => ReturnType<Users["batchUpsertUsers"]>) => ReturnType<Users["batchUpsertUsers"]>,
) => {
  let calls = 0;
  return (users: Users): Users => ({
    batchUpsertUsers: (request, options) => {
      const call = () => users.batchUpsertUsers(request, options);
      return ++calls === n ? act(call) : call();
    },
  });
};

const refusal = (reason: "RATE_LIMITED" | "STORAGE_UNAVAILABLE" | "INTERNAL", retryAfterMs = 1) =>
  wireError(new MusterError(reason, { retryAfterMs }), never, createLogger("silent"));

test.each([
  ["the limit of calls", refusal("RATE_LIMITED")],
  ["a database that is away", refusal("STORAGE_UNAVAILABLE")],
  ["a server that is away", new ConnectError("connect ECONNREFUSED", Code.Unavailable)],
  ["a connection that breaks", new ConnectError("socket hang up", Code.Aborted)],
  ["an answer that breaks off", new ConnectError("premature end", Code.Unknown)],
])("%s is waited for, and then every row is in", async (_, error) => {
  const it = await importing(numbered(3), { users: atCall(1, () => Promise.reject(error)) });
  expect(await it.run()).toEqual({ created: 3, changed: 0, unchanged: 0, refused: 0 });
  expect(it.waits).toEqual([error.rawMessage]);
});

test("an answer that is lost after the batch was written makes no user twice", async () => {
  const lost = atCall(1, async (call) => {
    await call();
    throw new ConnectError("socket hang up", Code.Aborted);
  });
  const it = await importing(numbered(5), { users: lost });
  const counts = await it.run();
  expect(counts.created + counts.changed + counts.unchanged).toBe(5);
  expect(Object.keys(await it.names())).toHaveLength(5);
});

test("what the server can do nothing about ends the import; what is before it is noted, what is behind it is not", async () => {
  const it = await importing(numbered(3_500), { users: atCall(3, () => Promise.reject(refusal("INTERNAL"))) });
  await expect(it.run()).rejects.toThrow("Internal error");
  expect(it.notes.map(({ line }) => line)).toEqual([1_000, 2_000]);
});

test("of two rows for one user the later one comes last, in whatever batch it is", async () => {
  const slow = atCall(1, async (call) => {
    await once(AbortSignal.timeout(300), "abort");
    return call();
  });
  const rows = [row("twice", "first"), ...numbered(999), row("twice", "second"), row("twice", "third")];
  const it = await importing(rows, { users: slow });
  await it.run();
  expect((await it.names())["twice"]).toBe("third");
});

test("a state is noted in the order of the file, whichever batch is answered first", async () => {
  const gate = Promise.withResolvers<void>();
  let calls = 0;
  const users = (real: Users): Users => ({
    batchUpsertUsers: async (request, options) => {
      const call = ++calls;
      if (call === 1) await gate.promise;
      const answer = await real.batchUpsertUsers(request, options);
      if (call === 3) gate.resolve();
      return answer;
    },
  });
  const it = await importing(numbered(2_500), { users });
  await it.run();
  expect(it.notes.map(({ line, counts }) => [line, counts.created])).toEqual([
    [1_000, 1_000],
    [2_000, 2_000],
    [2_500, 2_500],
  ]);
  expect(it.notes.at(-1)?.offset).toBe(Buffer.byteLength(it.text));
});

test("an import goes on behind what is noted, and refuses a file that was changed before it", async () => {
  const first = await importing(numbered(2_500), { users: atCall(2, () => Promise.reject(refusal("INTERNAL"))) });
  await expect(first.run()).rejects.toThrow();
  const resume = first.notes.at(-1);
  const rest = await importing(numbered(2_500), { resume });
  expect(await rest.run()).toEqual({ created: 2_500, changed: 0, unchanged: 0, refused: 0 });
  const { totalSize } = await rest.client.listUsers({ withTotal: true });
  expect(totalSize).toBe(1_500);

  const changed = numbered(2_500).with(3, row("u3", "another"));
  await expect((await importing(changed, { resume })).run()).rejects.toThrow("--restart");
  await expect((await importing(numbered(900), { resume })).run()).rejects.toThrow("--restart");
});

test("a refused row stops no other, and is told with its line, its reason and its field", async () => {
  const it = await importing([
    row("good", "is in"),
    "",
    { external_id: "login", user: { login: "taken" } },
    { external_id: "rival", user: { login: "TAKEN" } },
    { external_id: "email", user: { email: "no mailbox" } },
    { external_id: "attribute", user: { attributes: { color: { content_type: "text/plain", text: "red" } } } },
    { user: { name: "nobody" } },
    { external_id: "typo", user: { nmae: "x" } },
    '{"external_id": "half"',
    "[]",
    '{"external_id":"nul","user":{"name":"a\\u0000b"}}',
    '{"external_id":"lone","user":{"metadata":{"a":["\\ud800"]}}}',
    '{"external_id":"huge","user":{"metadata":{"a":1e999}}}',
    { external_id: "mask", user: {}, update_mask: "createTime" },
    row("also", "is in"),
  ]);
  expect(await it.run()).toMatchObject({ created: 3, refused: 11 });
  expect(await it.names()).toEqual({ good: "is in", login: "", also: "is in" });
  expect(it.refused.map(({ line, external_id: id, reason, field }) => [line, id, reason, field])).toEqual([
    [4, "rival", "LOGIN_TAKEN", "user.login"],
    [5, "email", "REQUEST_INVALID", "user.email"],
    [6, "attribute", "REQUEST_INVALID", 'user.attributes["color"]'],
    [7, undefined, "REQUEST_INVALID", "external_id"],
    [8, "typo", "REQUEST_INVALID", undefined],
    [9, undefined, "REQUEST_INVALID", undefined],
    [10, undefined, "REQUEST_INVALID", undefined],
    [11, "nul", "REQUEST_INVALID", "user.name"],
    [12, "lone", "REQUEST_INVALID", "user.metadata.a[0]"],
    [13, "huge", "REQUEST_INVALID", "user.metadata.a"],
    [14, "mask", "REQUEST_INVALID", "update_mask"],
  ]);
});

test("rows that are as they were are told apart from those that changed", async () => {
  const it = await importing([row("a", "x"), row("b", "y"), row("c", "z")]);
  expect(await it.run()).toMatchObject({ created: 3 });
  expect(await it.run()).toMatchObject({ created: 0, changed: 0, unchanged: 3 });
  await it.client.upsertUser({ externalId: "b", user: { name: "another" } });
  expect(await it.run()).toMatchObject({ created: 0, changed: 1, unchanged: 2 });
});

test("hashes of other systems come with their users, and those that are not taken are refused by their field", async () => {
  const known = "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";
  const it = await importing([
    { external_id: "a", user: { name: "with" }, password_hash: known },
    { external_id: "b", passwordHash: "$1$plain$md5" },
  ]);
  expect(await it.run()).toMatchObject({ created: 1, refused: 1 });
  expect(it.refused).toMatchObject([{ line: 2, external_id: "b", reason: "REQUEST_INVALID", field: "password_hash" }]);
  expect(await it.run()).toMatchObject({ unchanged: 1, refused: 1 });
});

test("a batch that is refused as a whole is taken apart until only the culprits are refused", async () => {
  const isBad = (name: string | undefined) => name === "User 7" || name === "User 8" || name === "User 40";
  const tooLarge = () => wireError(new MusterError("MESSAGE_TOO_LARGE"), never, createLogger("silent"));
  const calls = vi.fn<(rows: number) => void>();
  const users = (real: Users): Users => ({
    batchUpsertUsers: (request, options) => {
      calls(request.users?.length ?? 0);
      if (request.users?.some(({ user }) => isBad(user?.name))) return Promise.reject(tooLarge());
      return real.batchUpsertUsers(request, options);
    },
  });
  const it = await importing(numbered(100), { users });
  expect(await it.run()).toMatchObject({ created: 97, refused: 3 });
  expect(it.refused.map(({ line, reason }) => [line, reason])).toEqual([
    [8, "MESSAGE_TOO_LARGE"],
    [9, "MESSAGE_TOO_LARGE"],
    [41, "MESSAGE_TOO_LARGE"],
  ]);
  expect(calls.mock.calls.length).toBeLessThan(50);
});

test("the rows that a refused batch names are left out, and the others go again at once", async () => {
  const violations = [{ field: "users[1].user.metadata", description: "has more than 100 keys" }];
  const named = wireError(new MusterError("REQUEST_INVALID", { violations }), never, createLogger("silent"));
  const it = await importing(numbered(3), { users: atCall(1, () => Promise.reject(named)) });
  expect(await it.run()).toMatchObject({ created: 2, refused: 1 });
  expect(it.refused).toEqual([
    {
      line: 2,
      external_id: "u1",
      reason: "REQUEST_INVALID",
      field: "user.metadata",
      message: "has more than 100 keys",
    },
  ]);
});

test("an import that is to stop begins nothing new and tries nothing again", async () => {
  const stop = new AbortController();
  const users = (real: Users): Users => ({
    batchUpsertUsers: async (request, options) => {
      const answer = await real.batchUpsertUsers(request, options);
      stop.abort();
      return answer;
    },
  });
  const it = await importing(numbered(9_000), { users, stop: stop.signal, parallel: 1 });
  expect((await it.run()).created).toBe(1_000);
  expect(it.notes.map(({ line }) => line)).toEqual([1_000]);
});

test("both spellings of field names are read, and a line of more than 1 MiB is refused without being read", () => {
  const read = createReadRow();
  const line = (text: string) => read({ number: 1, bytes: Buffer.from(text) });
  const snake = '{"external_id":"a","user":{"time_zone":"Europe/Berlin"},"update_mask":"timeZone,name"}';
  const camel = '{"externalId":"a","user":{"timeZone":"Europe/Berlin"},"updateMask":"timeZone,name"}';
  expect(line(snake)).toMatchObject({ request: { user: { timeZone: "Europe/Berlin" } } });
  expect(line(camel)).toMatchObject({ request: line(snake)?.["request" as never] ?? {} });
  expect(read({ number: 9, bytes: undefined })).toMatchObject({ line: 9, reason: "REQUEST_INVALID" });
  expect(read({ number: 9, bytes: Uint8Array.of(0x22, 0xff, 0x22) })).toMatchObject({ message: "is not UTF-8" });
  expect(line(" \t\r")).toBeUndefined();
});
