import { execFile } from "node:child_process";
import { connect as connectTls } from "node:tls";
import { promisify } from "node:util";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { credentials, makeGenericClientConstructor, type ServiceError } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  Health,
  HealthCheckRequestSchema,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
} from "../../src/gen/grpc/health/v1/health_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { CERTIFICATE, CERTIFICATE_KEY } from "./edge-certificate.ts";
import { dial, GET_USER, overHttp2, startEdge } from "./edge-server.ts";

const run = promisify(execFile);
let edge: Awaited<ReturnType<typeof startEdge>>;
let secure: Awaited<ReturnType<typeof startEdge>>;
beforeAll(async () => {
  edge = await startEdge();
  secure = await startEdge({ tls: { key: CERTIFICATE_KEY, cert: CERTIFICATE } });
});
afterAll(async () => {
  await edge[Symbol.asyncDispose]();
  await secure[Symbol.asyncDispose]();
});

const nodeOptions = { rejectUnauthorized: false };
const TRANSPORTS: Record<string, (baseUrl: string) => Transport> = {
  "Connect JSON over HTTP/1.1": (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1", nodeOptions }),
  "Connect JSON over HTTP/2": (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2", nodeOptions }),
  "Connect binary over HTTP/2": (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: true, nodeOptions }),
  "Connect GET over HTTP/1.1": (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: "1.1", useHttpGet: true, nodeOptions }),
  "binary Connect GET over HTTP/2": (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: "2", useHttpGet: true, useBinaryFormat: true, nodeOptions }),
  "gRPC over HTTP/2": (baseUrl) => createGrpcTransport({ baseUrl, nodeOptions }),
  "gRPC-Web over HTTP/1.1": (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1", nodeOptions }),
  "gRPC-Web over HTTP/2": (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "2", nodeOptions }),
};

test.for(Object.entries(TRANSPORTS))("one port speaks %s", async ([, transport]) => {
  const client = createClient(UserService, transport(edge.url));
  const { user } = await client.getUser({ ref: { ref: { case: "externalId", value: "zoë 🦆" } } });
  expect(user?.id).toBe("zoë 🦆");
});

test.for(Object.entries(TRANSPORTS))("with a certificate the same port speaks %s within TLS", async ([, transport]) => {
  const client = createClient(UserService, transport(secure.url));
  const { user } = await client.getUser({ ref: { ref: { case: "externalId", value: "zoë" } } });
  expect(user?.id).toBe("zoë");
});

test("a TLS client that offers no protocol is served HTTP/1.1", async () => {
  const socket = connectTls({ port: secure.port, host: "127.0.0.1", rejectUnauthorized: false });
  socket.end("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
  const [answer] = await socket.toArray();
  expect(String(answer)).toContain("HTTP/1.1 200");
});

test("TLS on a port without a certificate closes the connection", async () => {
  const socket = connectTls({ port: edge.port, host: "127.0.0.1", rejectUnauthorized: false });
  const error = await new Promise<Error>((resolve) => socket.once("error", resolve));
  expect(error).toBeInstanceOf(Error);
  expect((await fetch(`${edge.url}/healthz`)).status).toBe(200);
});

test.for([
  "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
  "POST /nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
])("a request that arrives byte by byte is understood: %j", async (text) => {
  const socket = dial(edge.port);
  for (const byte of text) {
    socket.write(byte);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await expect.poll(socket.text).toMatch(/^HTTP\/1\.1 (200|404)/);
  socket.destroy();
});

test("an HTTP/2 preface that arrives byte by byte is understood", async () => {
  const socket = dial(edge.port);
  const preface = Buffer.concat([
    Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
  ]);
  for (const byte of preface) {
    socket.write(Buffer.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  // The server's own SETTINGS frame, and its answer to ours.
  await expect.poll(() => socket.text().length).toBeGreaterThan(9);
  expect(socket.text().charCodeAt(3)).toBe(4);
  socket.destroy();
});

test("compressed messages are understood, and large answers to those who accept gzip are compressed", async () => {
  const { compressionGzip } = await import("@connectrpc/connect-node");
  const id = "a".repeat(20_000);
  for (const create of [createConnectTransport, createGrpcTransport, createGrpcWebTransport]) {
    const transport = create({
      baseUrl: edge.url,
      httpVersion: "2",
      sendCompression: compressionGzip,
      compressMinBytes: 1,
    });
    const { user } = await createClient(UserService, transport).getUser({
      ref: { ref: { case: "externalId", value: id } },
    });
    expect(user?.id).toBe(id);
  }
  const answer = await overHttp2(
    edge.url,
    GET_USER,
    { "content-type": "application/json", "accept-encoding": "gzip" },
    Buffer.from(JSON.stringify({ ref: { externalId: id } })),
  );
  expect(answer.headers["content-encoding"]).toBe("gzip");
  expect(answer.body.length).toBeLessThan(1_000);
});

const GrpcHealth = makeGenericClientConstructor(
  {
    check: {
      path: "/grpc.health.v1.Health/Check",
      requestStream: false,
      responseStream: false,
      requestSerialize: (service: string) =>
        Buffer.from(toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service }))),
      requestDeserialize: (bytes: Buffer) => fromBinary(HealthCheckRequestSchema, bytes),
      responseSerialize: (message: HealthCheckResponse) => Buffer.from(toBinary(HealthCheckResponseSchema, message)),
      responseDeserialize: (bytes: Buffer) => fromBinary(HealthCheckResponseSchema, bytes),
    },
    missing: {
      path: "/grpc.health.v1.Health/Missing",
      requestStream: false,
      responseStream: false,
      requestSerialize: () => Buffer.alloc(0),
      requestDeserialize: () => "",
      responseSerialize: () => Buffer.alloc(0),
      responseDeserialize: () => "",
    },
  },
  "Health",
);

function grpcJs(method: "check" | "missing", argument: string): Promise<HealthCheckResponse> {
  const client = new GrpcHealth(`127.0.0.1:${edge.port}`, credentials.createInsecure());
  return new Promise<HealthCheckResponse>((resolve, reject) => {
    const call = client[method] as (
      argument: string,
      done: (error: ServiceError | null, answer: HealthCheckResponse) => void,
    ) => void;
    call.call(client, argument, (error, answer) => (error ? reject(error) : resolve(answer)));
  }).finally(() => client.close());
}

test("grpc-js reads the health of the server and of a service", async () => {
  const { SERVING } = HealthCheckResponse_ServingStatus;
  expect((await grpcJs("check", "")).status).toBe(SERVING);
  expect((await grpcJs("check", "muster.v1.UserService")).status).toBe(SERVING);
});

test("grpc-js is told NOT_FOUND for the health of an unknown service and UNIMPLEMENTED for an unknown RPC", async () => {
  await expect(grpcJs("check", "no.such.Service")).rejects.toMatchObject({ code: Code.NotFound });
  await expect(grpcJs("missing", "")).rejects.toMatchObject({ code: Code.Unimplemented });
});

test("health is listed for every service, and told to those who watch it when it changes", async () => {
  const client = createClient(Health, createGrpcTransport({ baseUrl: edge.url }));
  const { SERVING, NOT_SERVING, SERVICE_UNKNOWN } = HealthCheckResponse_ServingStatus;
  expect(Object.keys((await client.list({})).statuses).sort()).toEqual([
    "",
    "muster.v1.PresenceService",
    "muster.v1.UserService",
  ]);
  const left = new AbortController();
  const watch = client.watch({ service: "muster.v1.UserService" }, { signal: left.signal })[Symbol.asyncIterator]();
  expect((await watch.next()).value.status).toBe(SERVING);
  edge.serving.setServing(false);
  expect((await watch.next()).value.status).toBe(NOT_SERVING);
  expect((await fetch(`${edge.url}/readyz`)).status).toBe(503);
  edge.serving.setServing(true);
  expect((await watch.next()).value.status).toBe(SERVING);
  left.abort();
  await expect(watch.next()).rejects.toMatchObject({ code: Code.Canceled });
  await expect.poll(() => edge.streams.size).toBe(0);
  const unknown = client
    .watch({ service: "no.such.Service" }, { signal: AbortSignal.timeout(5_000) })
    [Symbol.asyncIterator]();
  expect((await unknown.next()).value.status).toBe(SERVICE_UNKNOWN);
});

test.for(["grpc", "grpcweb", "connect"])(
  "buf curl finds an RPC by reflection and calls it over %s",
  async (protocol) => {
    const { stdout } = await run("buf", [
      "curl",
      "--protocol",
      protocol,
      "--http2-prior-knowledge",
      "-d",
      '{"ref":{"externalId":"zoë"}}',
      `${edge.url}${GET_USER}`,
    ]);
    expect(JSON.parse(stdout)).toMatchObject({ user: { id: "zoë" } });
  },
);

test("buf curl lists the services by reflection", async () => {
  const { stdout } = await run("buf", ["curl", "--http2-prior-knowledge", "--list-services", edge.url]);
  expect(stdout.trim().split("\n")).toContain("muster.v1.UserService");
});

test("a call that the caller's deadline overtakes ends with deadline_exceeded, and one far off does not overflow", async () => {
  const client = createClient(UserService, createGrpcTransport({ baseUrl: edge.url }));
  await expect(client.upsertUser({ externalId: "slow" }, { timeoutMs: 50 })).rejects.toMatchObject({
    code: Code.DeadlineExceeded,
  });
  for (const headers of [
    { "content-type": "application/grpc", "grpc-timeout": "99999999H", te: "trailers" },
    { "content-type": "application/json", "connect-timeout-ms": "9999999999" },
  ] as Record<string, string>[]) {
    const body = headers["grpc-timeout"] ? Buffer.alloc(5) : Buffer.from("{}");
    const answer = await overHttp2(edge.url, GET_USER, headers, body);
    expect(answer.trailers["grpc-status"] ?? String(answer.status)).toMatch(/^(0|200)$/);
  }
});

test("an unknown compression is unimplemented, and the answer names those that are known", async () => {
  const answer = await overHttp2(
    edge.url,
    GET_USER,
    { "content-type": "application/json", "content-encoding": "br" },
    Buffer.from("{}"),
  );
  expect(JSON.parse(String(answer.body))).toMatchObject({
    code: "unimplemented",
    message: expect.stringContaining("gzip"),
  });
});

test("errors are errors of the protocol that asked", async () => {
  for (const transport of Object.values(TRANSPORTS)) {
    const error = await createClient(UserService, transport(edge.url))
      .deleteUser({})
      .catch((reason: unknown) => reason);
    expect(ConnectError.from(error).code).toBe(Code.Unimplemented);
  }
});
