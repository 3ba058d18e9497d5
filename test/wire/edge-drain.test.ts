import { connect as connectHttp2 } from "node:http2";
import { Code, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { expect, test } from "vitest";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { dial, startEdge } from "./edge-server.ts";

const TRANSPORTS: Record<string, (baseUrl: string) => Transport> = {
  "Connect, HTTP/1.1": (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" }),
  "Connect, HTTP/2": (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" }),
  gRPC: (baseUrl) => createGrpcTransport({ baseUrl }),
  "gRPC-Web, HTTP/1.1": (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
  "gRPC-Web, HTTP/2": (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "2" }),
};

async function watch(transport: Transport, signal?: AbortSignal) {
  const client = createClient(PresenceService, transport);
  const stream = client.watchPresence({}, signal ? { signal } : {})[Symbol.asyncIterator]();
  expect((await stream.next()).value.event.case).toBe("opened");
  return stream;
}

test("draining ends the streams of every protocol with unavailable, and lets the calls under way finish", async () => {
  await using edge = await startEdge();
  const transports = Object.values(TRANSPORTS).map((transport) => transport(edge.url));
  const streams = await Promise.all(transports.map((transport) => watch(transport)));
  const ends = streams.map((stream) => stream.next().catch((error: unknown) => error));
  const calls = transports.map((transport) => createClient(UserService, transport).upsertUser({ externalId: "held" }));
  await expect.poll(() => edge.streams.size).toBe(transports.length);
  await expect.poll(() => edge.held.arrived).toBe(transports.length);
  const broken = edge.http.drain(10_000);
  for (const end of await Promise.all(ends)) expect(end).toMatchObject({ code: Code.Unavailable });
  edge.held.letGo();
  for (const answer of await Promise.all(calls)) expect(answer.created).toBe(true);
  expect(await broken).toBe(0);
  await expect.poll(() => edge.http.connections).toBe(0);
});

test("a draining server takes no new connections and hangs up on idle ones", async () => {
  await using edge = await startEdge();
  const undecided = dial(edge.port);
  const idle = dial(edge.port);
  idle.write("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
  await expect.poll(idle.text).toMatch(/^HTTP\/1\.1 200/);
  await expect.poll(() => edge.http.connections).toBe(2);
  expect(await edge.http.drain(10_000)).toBe(0);
  await Promise.all([undecided.gone, idle.gone]);
  await expect(fetch(`${edge.url}/healthz`)).rejects.toThrow("fetch failed");
});

test("what does not end by itself is broken off after the grace, and counted", async () => {
  await using edge = await startEdge({ limits: { requestTimeoutMs: 60_000 } });
  const socket = dial(edge.port);
  socket.write(
    "POST /muster.v1.UserService/GetUser HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n",
  );
  const session = connectHttp2(edge.url);
  session.on("error", () => {});
  const stream = session.request({
    ":method": "POST",
    ":path": "/muster.v1.UserService/GetUser",
    "content-type": "application/json",
  });
  stream.on("error", () => {});
  await expect.poll(() => edge.http.connections).toBe(2);
  await expect.poll(() => edge.http.sessions).toBe(1);
  expect(await edge.http.drain(200)).toBe(2);
  await socket.gone;
});

test.for(Object.entries(TRANSPORTS))(
  "a client that leaves a stream is noticed by the handler: %s",
  async ([, transport]) => {
    await using edge = await startEdge();
    const left = new AbortController();
    const stream = await watch(transport(edge.url), left.signal);
    left.abort();
    await expect(stream.next()).rejects.toMatchObject({ code: Code.Canceled });
    await expect.poll(() => edge.streams.size).toBe(0);
    expect(edge.ended.length).toBeGreaterThan(0);
    expect(edge.log).toEqual([]);
  },
);

test.for(Object.entries(TRANSPORTS))("a stream ends at the caller's deadline: %s", async ([, transport]) => {
  await using edge = await startEdge();
  const client = createClient(PresenceService, transport(edge.url));
  const stream = client.watchPresence({}, { timeoutMs: 300 })[Symbol.asyncIterator]();
  expect((await stream.next()).value.event.case).toBe("opened");
  await expect(stream.next()).rejects.toMatchObject({ code: Code.DeadlineExceeded });
  await expect.poll(() => edge.streams.size).toBe(0);
});
