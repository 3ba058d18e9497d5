import { randomUUID } from "node:crypto";
import type { IncomingMessage, RequestListener } from "node:http";
import { text } from "node:stream/consumers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { startOutsideServer, startRawServer } from "../support/outside-server.ts";
import { startProving } from "./proving.ts";

const server = await startOutsideServer();
/** How many requests came to the server that answers none. */
let unanswered = 0;
const silent = await startRawServer(() => void (unanswered += 1));
const rude = await startRawServer((socket) => socket.end("no HTTP at all\r\n\r\n"));
const { auth, clock, logged, prove, provider, refusal } = await startProving([server.host, silent, rude]);

type Value = Record<string, unknown>;
const HOLDS_NOT = "EXTERNAL_JWT_INVALID";
const AWAY = "PROVIDER_UNAVAILABLE";

/** A provider that asks the server, and finds the subject at `/id`. */
const asking = (value: Value = {}, response: Value = {}) =>
  provider({
    case: "http",
    value: { url: `${server.url}/check`, response: { subject: "/id", ...response }, ...value },
  });
const says = (body: unknown, status = 200, headers: Record<string, string> = {}): RequestListener => {
  const sent = typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
  return (_, response) => void response.writeHead(status, headers).end(sent);
};

/** What the server was asked last. */
let asked: { request: IncomingMessage; body: string } | undefined;
const listens =
  (answer: RequestListener): RequestListener =>
  async (request, response) => {
    asked = { request, body: await text(request) };
    answer(request, response);
  };
beforeEach(() => {
  asked = undefined;
  logged.length = 0;
  server.answer = listens(says({ id: "user-1" }));
});

describe("a provider that is right", () => {
  test("is asked as it was agreed on, and says who it is", async () => {
    const id = await asking({ headers: { Authorization: "Bearer secret", "x-app": "{credential}" } });
    expect(await prove(id, "opaque-token")).toEqual({ subject: "user-1", userData: {} });
    const { method, url, headers } = asked?.request ?? {};
    expect({ method, url, body: asked?.body }).toEqual({
      method: "POST",
      url: "/check",
      body: '{"token": "opaque-token"}',
    });
    expect(headers).toMatchObject({
      authorization: "Bearer secret",
      "x-app": "opaque-token",
      "content-type": "application/json",
      accept: "application/json",
    });
  });

  test("says all that the mapping knows of", async () => {
    const id = await asking(
      {},
      {
        ...{ subject: "/data/0/user~1id", email: "/data/0/mail", emailVerified: "/data/0/ok", name: "/data/0/a~0b" },
        ...{ login: "/data/0/login", avatarUrl: "/data/0/picture", metadata: "/data/0/more", active: "/on" },
      },
    );
    const user = { "user/id": 42, mail: "ada@example.org", ok: true, "a~b": "Ada", login: "ada" };
    const more = { picture: "https://cdn.example/a", more: { plan: "pro" } };
    server.answer = says({ on: true, data: [{ ...user, ...more }] });
    expect(await prove(id, "x")).toEqual({
      subject: "42",
      userData: {
        ...{ name: "Ada", email: "ada@example.org", email_verified: true, username: "ada" },
        ...{ avatar: "https://cdn.example/a", metadata: { plan: "pro" } },
      },
    });
    // What is not there, or of another form, is left out; only `true` verifies.
    server.answer = says({
      on: true,
      data: [{ "user/id": "7", mail: "ada@example.org", ok: "true", "a~b": null, more: [] }],
    });
    expect(await prove(id, "x")).toEqual({
      subject: "7",
      userData: { email: "ada@example.org", email_verified: false },
    });
  });

  test.each([
    "/__proto__",
    "/constructor/name",
    "/toString",
    "/id/length",
    "/list/-",
    "/list/01",
    "/list/length",
    "/0",
  ])("says nothing by a pointer to what is not in the answer: %s", async (pointer) => {
    const id = await asking({}, { name: pointer });
    server.answer = says({ id: "user-1", list: ["a", "b"] });
    expect((await prove(id, "x")).userData).toEqual({});
  });

  test("may hold that a credential is not active any more, as token introspection does", async () => {
    const id = await asking(
      { headers: { "content-type": "application/x-www-form-urlencoded" }, body: "token={credential}" },
      { active: "/active" },
    );
    server.answer = listens(says({ active: true, id: "user-1" }));
    expect((await prove(id, "a b&c=d")).subject).toBe("user-1");
    expect(new URLSearchParams(asked?.body).get("token")).toBe("a b&c=d");
    for (const active of [false, undefined, null, "true", 1]) {
      server.answer = says({ active, id: "user-1" });
      expect((await refusal(id, "x")).reason).toBe(HOLDS_NOT);
    }
  });

  test.each([400, 401, 403, 404])("refuses a credential by %i", async (status) => {
    const id = await asking();
    server.answer = says({ id: "user-1" }, status);
    expect((await refusal(id, "x")).reason).toBe(HOLDS_NOT);
  });
});

describe("a provider that is out of order proves nobody:", () => {
  test.each<[what: string, answer: RequestListener]>([
    ["an error", says({ id: "user-1" }, 500)],
    ["too many requests", says({ id: "user-1" }, 429)],
    ["another success", says({ id: "user-1" }, 201)],
    ["a redirect", says({ id: "user-1" }, 302, { location: `${server.url}/other` })],
    ["nothing", says("")],
    ["no JSON", says("<html></html>")],
    ["a list", says([{ id: "user-1" }])],
    ["text", says('"user-1"')],
    ["a member twice", says('{"id": "user-1", "id": "admin"}')],
    ["a member twice, escaped", says('{"id": "user-1", "\\u0069d": "admin"}')],
    ["deep nesting", says(`{"id": "user-1", "a": ${"[".repeat(60)}${"]".repeat(60)}}`)],
    ["very deep nesting", says("[".repeat(60_000))],
    ["what is no UTF-8", says(Buffer.from('{"id": "user-\xff"}', "latin1"))],
    ["a byte order mark", says('\ufeff{"id": "user-1"}')],
    ["more than 64 KiB", says({ id: "user-1", pad: "a".repeat(65_536) })],
    ["a coded answer", says({ id: "user-1" }, 200, { "content-encoding": "gzip" })],
    ["no subject", says({})],
    ["a subject of null", says({ id: null })],
    ["an empty subject", says({ id: "" })],
    ["a subject of 256 bytes", says({ id: "ü".repeat(128) })],
    ["a subject that is a fraction", says({ id: 1.5 })],
    ["a subject that is not exact", says('{"id": 9007199254740993}')],
    ["a subject that is true", says({ id: true })],
    ["a subject that is an object", says({ id: { id: "user-1" } })],
    [
      "an answer that breaks off",
      (_, response) => void response.writeHead(200, { "content-length": 99 }).write("{", () => response.destroy()),
    ],
  ])("%s", async (_, answer) => {
    const id = await asking();
    server.answer = answer;
    const { reason, retryAfter } = await refusal(id, "x");
    expect(reason).toBe(AWAY);
    expect(retryAfter).toBeGreaterThan(0);
  });

  test("a redirect is not followed", async () => {
    const id = await asking();
    server.requests.length = 0;
    server.answer = says("", 307, { location: `${server.url}/other` });
    await refusal(id, "x");
    expect(server.requests.map(({ url }) => url)).toEqual(["/check"]);
  });

  test("what is no HTTP", async () => {
    expect((await refusal(await asking({ url: `http://${rude}/` }), "x")).why).toMatch(/^MALFORMED/);
  });

  test("no answer within 5 seconds", async () => {
    const id = await asking({ url: `http://${silent}/` });
    const before = unanswered;
    const waiting = refusal(id, "x");
    let isOver = false;
    void waiting.then(() => (isOver = true));
    await vi.waitUntil(() => unanswered > before, { timeout: 30_000 });
    await clock.advance(4_999);
    expect(isOver).toBe(false);
    await clock.advance(1);
    expect((await waiting).why).toMatch(/^TIMEOUT/);
  });

  test("a caller that leaves is not waited for, and says nothing of the provider", async () => {
    const id = await asking({ url: `http://${silent}/` });
    for (let i = 0; i < 6; i++) {
      const left = new AbortController();
      const waiting = prove(id, "x", "", left.signal).catch((error: unknown) => error);
      const gone = new Error("gone");
      left.abort(gone);
      expect(await waiting).toBe(gone);
    }
  });
});

describe("a provider that goes on being out of order", () => {
  const fail = says({}, 503);
  const works = says({ id: "user-1" });

  test("is spared for 30 seconds after five failures in a row; then one tries, and the others follow if it works", async () => {
    const id = await asking();
    const asks = () => server.requests.length;
    server.answer = fail;
    for (let i = 0; i < 5; i++) await refusal(id, "x");
    server.requests.length = 0;
    const spared = await refusal(id, "x");
    expect(spared).toMatchObject({ reason: AWAY, retryAfter: 30 });
    expect(asks()).toBe(0);
    expect(logged.filter((line) => line.includes('"level":40'))).toHaveLength(5);
    await clock.advance(29_999);
    expect((await refusal(id, "x")).reason).toBe(AWAY);
    expect(asks()).toBe(0);
    await clock.advance(1);
    // The one that tries fails: another 30 seconds.
    const three = await Promise.all([1, 2, 3].map(() => refusal(id, "x")));
    expect(three.map(({ reason }) => reason)).toEqual([AWAY, AWAY, AWAY]);
    expect(asks()).toBe(1);
    await clock.advance(30_000);
    server.answer = works;
    expect((await prove(id, "x")).subject).toBe("user-1");
    await Promise.all([1, 2, 3].map(() => prove(id, "x")));
    expect(asks()).toBe(5);
  });

  test("is not spared for refusing credentials, nor where it works in between", async () => {
    const id = await asking();
    server.answer = says({}, 401);
    for (let i = 0; i < 6; i++) expect((await refusal(id, "x")).reason).toBe(HOLDS_NOT);
    for (let i = 0; i < 9; i++) {
      server.answer = i % 5 === 4 ? works : fail;
      await (i % 5 === 4 ? prove(id, "x") : refusal(id, "x"));
    }
    server.answer = works;
    expect((await prove(id, "x")).subject).toBe("user-1");
  });

  test("is given another chance when it is changed, and keeps no other provider waiting", async () => {
    const [one, other] = [await asking(), await asking()];
    server.answer = fail;
    for (let i = 0; i < 5; i++) await refusal(one, "x");
    server.answer = works;
    expect((await refusal(one, "x")).reason).toBe(AWAY);
    expect((await prove(other, "x")).subject).toBe("user-1");
    await clock.advance(1);
    await auth.updateProvider({ provider: { id: one, displayName: "mended" } });
    await clock.advance(999);
    expect((await prove(one, "x")).subject).toBe("user-1");
  });

  test("holds up 64 callers at most", async () => {
    const id = await asking();
    const open: (() => void)[] = [];
    server.answer = (_, response) => void open.push(() => response.end('{"id": "user-1"}'));
    const calls = Array.from({ length: 70 }, () =>
      prove(id, "x").then(
        () => "proven",
        () => "refused",
      ),
    );
    await vi.waitUntil(() => open.length === 64, { timeout: 30_000 });
    expect(await Promise.all(calls.slice(64))).toEqual(Array(6).fill("refused"));
    for (const answer of open) answer();
    expect(await Promise.all(calls.slice(0, 64))).toEqual(Array(64).fill("proven"));
  });
});

describe("nobody is told of, in an answer or in the log,", () => {
  test("the credential, the headers' values and what the provider answered", async () => {
    const secrets = [randomUUID(), randomUUID(), randomUUID()] as const;
    const [credential, header, answer] = secrets;
    const id = await asking({ url: `${server.url}/u/{credential}?t={credential}`, headers: { authorization: header } });
    for (const given of [says(answer), says({ id: { answer } }), says({ answer }, 401), says(`{"${answer}"`)]) {
      server.answer = given;
      const { reason, why } = await refusal(id, credential);
      expect(secrets.some((secret) => `${reason} ${why}`.includes(secret.slice(0, 8)))).toBe(false);
    }
    expect(logged.length).toBeGreaterThan(0);
    expect(secrets.filter((secret) => logged.join().includes(secret.slice(0, 8)))).toEqual([]);
  });
});
