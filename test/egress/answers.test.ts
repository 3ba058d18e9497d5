import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { createEgress } from "../../src/egress/create-egress.ts";
import type { EgressOutcome, EgressRequest } from "../../src/egress/egress.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { startOutsideServer, startRawServer } from "../support/outside-server.ts";

const server = await startOutsideServer();
const text = (body: Uint8Array) => Buffer.from(body).toString();

/** How a request to an allowed host ends. */
async function ending(url: string, options: EgressRequest = {}) {
  const outcomes: EgressOutcome[] = [];
  using egress = createEgress({ allow: [new URL(url).host], onEnd: (outcome) => outcomes.push(outcome) });
  const answer = await egress.request(url, options).catch((error: unknown) => error);
  expect(outcomes).toHaveLength(1);
  return { answer, outcome: outcomes[0] };
}

test("what is sent arrives, and the answer is all there", async () => {
  const received: unknown[] = [];
  server.answer = async (request, response) => {
    const chunks = await request.toArray();
    received.push([request.method, request.url, request.headers, Buffer.concat(chunks).toString()]);
    response.setHeader("x-many", ["a", "b"]).setHeader("constructor", "c").writeHead(201).end("täglich");
  };
  const url = `${server.url}/path?query=1#fragment`;
  const { answer } = await ending(url, { method: "POST", headers: { "X-Ada": "1" }, body: "ümlaut" });
  expect(received).toEqual([
    [
      ...["POST", "/path?query=1"],
      {
        ...{ host: server.host, connection: "keep-alive", "content-length": "7" },
        ...{ "user-agent": "muster", "accept-encoding": "identity", "x-ada": "1" },
      },
      "ümlaut",
    ],
  ]);
  expect(answer).toMatchObject({ status: 201, headers: { "x-many": "a, b", constructor: "c" } });
  expect(text((answer as { body: Uint8Array }).body)).toBe("täglich");
});

test("a redirect is given to the caller and not followed", async () => {
  const other = await startOutsideServer();
  for (const status of [301, 302, 303, 307, 308]) {
    server.answer = (_, response) => response.writeHead(status, { location: other.url }).end();
    expect((await ending(server.url)).answer).toMatchObject({ status, headers: { location: other.url } });
  }
  expect(other.requests).toEqual([]);
});

test("an answer of more bytes than allowed is not read: said beforehand, or found out", async () => {
  server.answer = (_, response) => response.writeHead(200, { "content-length": 1e12 }).write("a");
  expect((await ending(server.url)).outcome).toBe("TOO_LARGE");
  let written = 0;
  server.answer = (_, response) => {
    const more = () => {
      while (!response.destroyed && response.write("x".repeat(16_384))) written += 16_384;
    };
    response.on("drain", more);
    more();
  };
  expect((await ending(server.url)).outcome).toBe("TOO_LARGE");
  expect(written).toBeLessThan(64 * 1024 * 1024);
  server.answer = (_, response) => response.end("x".repeat(65_537));
  expect((await ending(server.url)).outcome).toBe("TOO_LARGE");
  expect((await ending(server.url, { maxBytes: 65_537 })).answer).toMatchObject({ status: 200 });
});

test("headers of more than 16 KiB are not read", async () => {
  server.answer = (_, response) => response.writeHead(200, { "x-long": "x".repeat(20_000) }).end();
  expect((await ending(server.url)).outcome).toBe("TOO_LARGE");
});

test("a content coding that nobody asked for is refused, so that no answer grows", async () => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
  server.answer = (_, response) => response.writeHead(200, { "content-encoding": "gzip" }).end(bomb);
  expect((await ending(server.url, { maxBytes: 1e9 })).outcome).toBe("MALFORMED");
  server.answer = (_, response) => response.writeHead(200, { "content-encoding": "Identity" }).end("a");
  expect((await ending(server.url)).outcome).toBe("ANSWERED");
});

test.each([
  ["no HTTP at all", "SSH-2.0-OpenSSH_9.9\r\n", "MALFORMED"],
  ["two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", "MALFORMED"],
  [
    "a length and chunks",
    "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "MALFORMED",
  ],
  ["a header without an end", `HTTP/1.1 200 OK\r\nx: ${"x".repeat(20_000)}`, "TOO_LARGE"],
  ["hints without end", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(10_000), "UNREACHABLE"],
  ["nothing", "", "UNREACHABLE"],
  ["half of it", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", "UNREACHABLE"],
  ["another protocol", "HTTP/1.1 101 Switching Protocols\r\nupgrade: a\r\nconnection: upgrade\r\n\r\n", "MALFORMED"],
])("a server that says %s brings no answer", async (_, said, outcome) => {
  const host = await startRawServer((socket) => socket.end(said));
  expect((await ending(`http://${host}/`)).outcome).toBe(outcome);
});

test("headers that do not come, and bodies that come drop by drop, end with the time for all of it", async () => {
  const silent = await startRawServer(() => {});
  const dripping = await startRawServer((socket) => {
    socket.write("HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n");
    void drip(() => socket.write("x"));
  });
  const slowHeaders = await startRawServer((socket) => {
    socket.write("HTTP/1.1 200 OK\r\n");
    void drip(() => socket.write("x-a: b\r\n"));
  });
  for (const host of [silent, dripping, slowHeaders])
    expect((await ending(`http://${host}/`, { timeoutMs: 200 })).outcome).toBe("TIMEOUT");
});

/** Does it every few milliseconds for a second. */
async function drip(write: () => void): Promise<void> {
  for (let i = 0; i < 100; i++) {
    write();
    await sleep(10);
  }
}

test("no request takes more than ten seconds, a name that is not resolved included", async () => {
  const clock = createFakeClock();
  const resolve = () => new Promise<never>(() => {});
  const egress = createEgress({ allow: [], clock, resolve });
  const ends: unknown[] = [];
  for (const options of [{}, { timeoutMs: 60_000 }])
    void egress.request("https://never.example/", options).catch(({ kind }) => ends.push(kind));
  await clock.advance(9_999);
  expect(ends).toEqual([]);
  await clock.advance(1);
  await expect.poll(() => ends).toEqual(["TIMEOUT", "TIMEOUT"]);
  expect(clock.pending).toBe(0);
});

test("a request ends with its signal, before it is sent and while it is answered", async () => {
  const reason = new Error("gave up");
  const before = server.requests.length;
  const { answer, outcome } = await ending(server.url, { signal: AbortSignal.abort(reason) });
  expect([answer, outcome, server.requests.length]).toEqual([reason, "ABORTED", before]);
  const leaving = new AbortController();
  const closed = Promise.withResolvers<void>();
  server.answer = (request, response) => {
    request.socket.on("close", () => closed.resolve());
    response.write("a");
    leaving.abort(reason);
  };
  expect(await ending(server.url, { signal: leaving.signal })).toEqual({ answer: reason, outcome: "ABORTED" });
  await closed.promise;
});

test("a server that is down, and a name that is none, cannot be reached", async () => {
  const gone = await startOutsideServer();
  await gone.stop();
  expect(await ending(gone.url)).toMatchObject({ outcome: "UNREACHABLE", answer: { kind: "UNREACHABLE" } });
  const nowhere = createEgress({ allow: [], resolve: () => Promise.reject(new Error("no such name")) });
  await expect(nowhere.request("https://none.example/")).rejects.toMatchObject({ kind: "UNREACHABLE" });
  const empty = createEgress({ allow: [], resolve: async () => [] });
  await expect(empty.request("https://none.example/")).rejects.toMatchObject({ kind: "UNREACHABLE" });
});

test("a certificate that is not trusted ends the request before anything is sent, whatever the environment says", async () => {
  const secure = await startOutsideServer(undefined, true);
  process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
  try {
    expect((await ending(secure.url, { headers: { authorization: "secret" } })).outcome).toBe("TLS");
  } finally {
    delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
  }
  expect((await ending(server.url.replace("http:", "https:"))).outcome).toBe("TLS");
  expect(secure.requests).toEqual([]);
});

test("proxies that the environment names are not used", async () => {
  const proxy = await startOutsideServer();
  const names = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "NODE_USE_ENV_PROXY"];
  for (const name of names) process.env[name] = name.startsWith("NODE") ? "1" : proxy.url;
  try {
    server.answer = (_, response) => response.end("direct");
    expect((await ending(server.url)).outcome).toBe("ANSWERED");
  } finally {
    for (const name of names) delete process.env[name];
  }
  expect(proxy.connections()).toBe(0);
});
