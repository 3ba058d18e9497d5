import { connect as connectHttp2 } from "node:http2";
import { afterEach, expect, test } from "vitest";
import { createFakeClock } from "../support/fake-clock.ts";
import { dial, GET_USER, overHttp2, startEdge } from "./edge-server.ts";

const open: AsyncDisposable[] = [];
async function start(...options: Parameters<typeof startEdge>) {
  const edge = await startEdge(...options);
  open.push(edge);
  return edge;
}
afterEach(async () => {
  for (const edge of open.splice(0)) await edge[Symbol.asyncDispose]();
});

test("a header that does not end is cut off", async () => {
  const edge = await start({ limits: { headersTimeoutMs: 200 } });
  const socket = dial(edge.port);
  socket.write("GET /healthz HTTP/1.1\r\nhost: x\r\n");
  const drip = setInterval(() => socket.write("x: y\r\n"), 50);
  await socket.gone;
  clearInterval(drip);
  expect(socket.text()).toMatch(/^HTTP\/1\.1 408/);
});

test("a body that does not end is cut off", async () => {
  const edge = await start({ limits: { headersTimeoutMs: 200, requestTimeoutMs: 300 } });
  const socket = dial(edge.port);
  socket.write(
    `POST ${GET_USER} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{`,
  );
  await socket.gone;
  expect(edge.http.connections).toBe(0);
});

test("a body that does not end over HTTP/2 runs into the deadline for bodies", async () => {
  const edge = await start({ rpcLimits: { bodyTimeoutMs: 100 } });
  const session = connectHttp2(edge.url);
  const stream = session.request({ ":method": "POST", ":path": GET_USER, "content-type": "application/json" });
  stream.write("{");
  let text = "";
  stream.on("data", (chunk) => {
    text += chunk;
  });
  await new Promise((resolve) => stream.once("close", resolve));
  expect(JSON.parse(text).code).toBe("deadline_exceeded");
  session.destroy();
});

test("bodies that begin and do not end cannot fill the memory together", async () => {
  const edge = await start({ rpcLimits: { maxPendingBytes: 100_000 } });
  const session = connectHttp2(edge.url);
  const call = () => session.request({ ":method": "POST", ":path": GET_USER, "content-type": "application/json" });
  const first = call();
  first.write(Buffer.alloc(60_000, " "));
  await new Promise((resolve) => session.ping(resolve));
  const second = call();
  second.end(Buffer.alloc(60_000, " "));
  expect(JSON.parse(String(Buffer.concat(await second.toArray())))).toMatchObject({ code: "resource_exhausted" });
  first.end("{}");
  expect(JSON.parse(String(Buffer.concat(await first.toArray())))).toMatchObject({ user: {} });
  session.destroy();
});

test.for(["", "P", "PR", "PRI * HTTP/2.0\r\n"])("a connection that says %j and no more is closed", async (text) => {
  const edge = await start({ limits: { prefaceTimeoutMs: 100 } });
  const socket = dial(edge.port);
  socket.write(text);
  await socket.gone;
  await expect.poll(() => edge.http.connections).toBe(0);
});

test("garbage after the HTTP/2 preface closes that connection and no other", async () => {
  const edge = await start();
  const socket = dial(edge.port);
  socket.write(`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${"garbage".repeat(20)}`);
  await socket.gone;
  expect((await fetch(`${edge.url}/healthz`)).status).toBe(200);
});

test("a header of more than 16 KiB is refused on both versions of HTTP", async () => {
  const edge = await start();
  const long = "x".repeat(17 * 1024);
  const socket = dial(edge.port);
  socket.write(`GET /healthz HTTP/1.1\r\nhost: x\r\nlong: ${long}\r\n\r\n`);
  await socket.gone;
  expect(socket.text()).toMatch(/^HTTP\/1\.1 431/);
  expect((await overHttp2(edge.url, "/healthz", { long })).status).toBe(431);
  expect((await overHttp2(edge.url, "/healthz", { long: "x".repeat(8 * 1024) })).status).toBe(200);
});

test.for([
  [
    "HTTP/1.0 without a Host",
    `POST ${GET_USER} HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}`,
  ],
  [
    "an empty Host",
    `POST ${GET_USER} HTTP/1.1\r\nhost:\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}`,
  ],
  [
    "a Host that is none",
    `POST ${GET_USER} HTTP/1.1\r\nhost: a b[\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}`,
  ],
  ["a Host with a user", `GET /healthz HTTP/1.1\r\nhost: a@b\r\n\r\n`],
  ["a Host with a port that is none", `GET /healthz HTTP/1.1\r\nhost: a:99999\r\n\r\n`],
  ["no Host", `GET /healthz HTTP/1.1\r\n\r\n`],
  ["a target without a path", `OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n`],
  ["a target that is no URL", `GET http://[/healthz HTTP/1.1\r\nhost: x\r\n\r\n`],
  ["a request line that is none", `HELLO\r\n\r\n`],
] as const)("%s is answered 400, and the server lives on", async ([, text]) => {
  const edge = await start();
  const socket = dial(edge.port);
  socket.write(text);
  await expect.poll(socket.text).toMatch(/^HTTP\/1\.1 400/);
  socket.destroy();
  expect((await fetch(`${edge.url}/healthz`)).status).toBe(200);
  expect(edge.log).toEqual([]);
});

test("a Host with a port that no URL has is refused over HTTP/2 too", async () => {
  const edge = await start();
  expect((await overHttp2(edge.url, "/healthz", { ":authority": "a:99999" })).status).toBe(400);
});

test("a target in the absolute form is understood", async () => {
  const edge = await start();
  const socket = dial(edge.port);
  const body = '{"ref":{"externalId":"a"}}';
  socket.write(
    `POST http://x${GET_USER} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  await expect.poll(socket.text).toMatch(/^HTTP\/1\.1 200/);
  socket.destroy();
});

test("connections beyond the limit are closed at once", async () => {
  const edge = await start({ limits: { maxConnections: 2 } });
  const first = [dial(edge.port), dial(edge.port)];
  await expect.poll(() => edge.http.connections).toBe(2);
  const third = dial(edge.port);
  await third.gone;
  for (const socket of first) socket.destroy();
});

test("a body announced as too long is refused before it is sent", async () => {
  const edge = await start();
  const socket = dial(edge.port);
  socket.write(
    `POST ${GET_USER} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 999999999\r\n\r\n`,
  );
  await expect.poll(socket.text).toContain("resource_exhausted");
  socket.destroy();
});

test("an HTTP/2 client that goes on sending after a refusal is told to stop", async () => {
  const edge = await start();
  const session = connectHttp2(edge.url);
  const stream = session.request({ ":method": "POST", ":path": GET_USER, "content-type": "application/json" });
  const sending = setInterval(() => !stream.destroyed && stream.write(Buffer.alloc(64 * 1024)), 1);
  stream.on("error", () => {});
  stream.resume();
  await new Promise((resolve) => stream.once("close", resolve));
  clearInterval(sending);
  expect((await overHttp2(edge.url, "/healthz", {})).status).toBe(200);
  session.destroy();
});

test("an HTTP/2 connection offers 128 streams", async () => {
  const edge = await start();
  const session = connectHttp2(edge.url);
  await new Promise((resolve) => session.once("remoteSettings", resolve));
  expect(session.remoteSettings).toMatchObject({ maxConcurrentStreams: 128, maxHeaderListSize: 16 * 1024 });
  session.destroy();
});

test("a client that resets streams as fast as it opens them loses its connection", async () => {
  const edge = await start();
  const session = connectHttp2(edge.url);
  session.on("error", () => {});
  const closed = new Promise((resolve) => session.once("close", resolve));
  const flood = setInterval(() => {
    for (let i = 0; i < 100 && !session.closed && !session.destroyed; i++) {
      const stream = session.request({ ":method": "POST", ":path": GET_USER });
      stream.on("error", () => {});
      stream.close(8);
    }
  }, 5);
  await closed;
  clearInterval(flood);
  expect((await fetch(`${edge.url}/healthz`)).status).toBe(200);
});

const SESSION_TIMES = {
  idleTimeoutMs: 60_000,
  pingIntervalMs: 20_000,
  pingTimeoutMs: 5_000,
  maxAgeMs: 600_000,
  ageGraceMs: 30_000,
};

async function startWithClock() {
  const clock = createFakeClock();
  const edge = await start({ clock, limits: SESSION_TIMES, rpcLimits: { bodyTimeoutMs: 3_600_000 } });
  const session = connectHttp2(edge.url);
  session.on("error", () => {});
  await new Promise((resolve) => session.once("remoteSettings", resolve));
  return { clock, edge, session };
}

test("an HTTP/2 connection on which nothing is asked is closed", async () => {
  const { clock, edge, session } = await startWithClock();
  const goaway = new Promise((resolve) => session.once("goaway", resolve));
  await clock.advance(60_000);
  await goaway;
  await expect.poll(() => edge.http.sessions).toBe(0);
});

test("an HTTP/2 peer that answers no ping is hung up on", async () => {
  const clock = createFakeClock();
  const edge = await start({ clock, limits: { ...SESSION_TIMES, idleTimeoutMs: 900_000 } });
  const socket = dial(edge.port);
  socket.write(
    Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])]),
  );
  await expect.poll(() => socket.text().length).toBeGreaterThan(9);
  await clock.advance(20_000);
  expect(edge.http.sessions).toBe(1);
  await clock.advance(5_000);
  await socket.gone;
});

test("an old HTTP/2 connection is told to go, its streams are ended with a word, and its calls may end within the grace", async () => {
  const { clock, edge, session } = await startWithClock();
  const call = session.request({ ":method": "POST", ":path": GET_USER, "content-type": "application/json" });
  call.on("error", () => {});
  const stream = session.request({
    ":method": "POST",
    ":path": "/muster.v1.PresenceService/WatchPresence",
    "content-type": "application/connect+json",
  });
  let text = "";
  stream.on("data", (chunk) => {
    text += chunk;
  });
  stream.end(Buffer.from([0, 0, 0, 0, 2, 0x7b, 0x7d]));
  await expect.poll(() => text).toContain("opened");
  const goaway = new Promise((resolve) => session.once("goaway", resolve));
  for (let passed = 0; passed < 660_000; passed += 20_000) {
    await clock.advance(20_000);
    // The answers to pings come over the wire.
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (session.closed) break;
  }
  await goaway;
  await expect.poll(() => text).toContain('"unavailable"');
  expect(edge.streams.size).toBe(0);
  expect(edge.http.sessions).toBe(1);
  expect(call.destroyed).toBe(false);
  await clock.advance(30_000);
  await expect.poll(() => edge.http.sessions).toBe(0);
});

test("an old HTTP/1.1 connection is closed with its next answer", async () => {
  const clock = createFakeClock();
  const edge = await start({ clock, limits: SESSION_TIMES });
  const socket = dial(edge.port);
  socket.write("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
  await expect.poll(socket.text).toMatch(/keep-alive/i);
  await clock.advance(700_000);
  socket.write("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
  await socket.gone;
  expect(socket.text()).toMatch(/connection: close/i);
});
