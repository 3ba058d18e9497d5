import { execFileSync } from "node:child_process";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { expect, test } from "vitest";
import { createConnections } from "../../src/egress/connections.ts";
import { createEgress } from "../../src/egress/create-egress.ts";
import { exchange } from "../../src/egress/exchange.ts";
import { startOutsideServer } from "../support/outside-server.ts";
import { CERTIFICATE } from "../wire/edge-certificate.ts";

const own = certificateOf("*.pool.example");
setDefaultCACertificates([...getCACertificates(), CERTIFICATE, own.cert]);

test.each([false, true])("connections are used again, also by many requests at a time (TLS: %s)", async (secure) => {
  const server = await startOutsideServer(undefined, secure);
  using egress = createEgress({ allow: [server.host] });
  for (let i = 0; i < 5; i++) await egress.request(server.url);
  expect(server.connections()).toBe(1);
  for (let round = 0; round < 3; round++)
    await Promise.all(Array.from({ length: 200 }, () => egress.request(server.url, { method: "POST", body: "a" })));
  expect(server.requests).toHaveLength(605);
  expect(server.connections()).toBeLessThan(200);
});

test("more than 512 requests to one host do not wait at a time, and other hosts are served meanwhile", async () => {
  const [slow, other] = [await startOutsideServer(() => {}), await startOutsideServer()];
  const egress = createEgress({ allow: [slow.host, other.host] });
  const waiting = Array.from({ length: 513 }, () => egress.request(slow.url).catch(({ kind }) => kind));
  expect(await waiting.at(-1)).toBe("BUSY");
  expect((await egress.request(other.url)).status).toBe(200);
  await expect.poll(() => slow.requests.length).toBe(64);
  expect(slow.connections()).toBe(64);
  slow.answer = (_, response) => response.end();
  egress[Symbol.dispose]();
  const ends = await Promise.all(waiting);
  expect(new Set(ends)).toEqual(new Set(["UNREACHABLE", "BUSY"]));
});

test("a request that met a connection which was just closed is sent once more, but for one that may not be repeated", async () => {
  const server = await startOutsideServer();
  using egress = createEgress({ allow: [server.host] });
  await egress.request(server.url);
  // The next request on this connection, and no other, is met by its end.
  const closing = new Set([server.requests[0]?.socket]);
  server.answer = (request, response) => {
    if (closing.delete(request.socket)) request.socket.resetAndDestroy();
    else response.writeHead(202).end();
  };
  expect((await egress.request(server.url)).status).toBe(202);
  closing.add(server.requests.at(-1)?.socket);
  await expect(egress.request(server.url, { method: "POST" })).rejects.toMatchObject({ kind: "UNREACHABLE" });
  expect((await egress.request(server.url, { method: "POST" })).status).toBe(202);
  server.answer = (request) => request.socket.resetAndDestroy();
  const before = server.requests.length;
  await expect(egress.request(server.url)).rejects.toMatchObject({ kind: "UNREACHABLE" });
  expect(server.requests.length - before).toBeLessThanOrEqual(2);
});

test("idle connections are closed", async () => {
  const server = await startOutsideServer();
  const closed = Promise.withResolvers<void>();
  server.answer = (request, response) => {
    request.socket.on("close", () => closed.resolve());
    // One second is taken off.
    response.setHeader("keep-alive", "timeout=2").end();
  };
  using egress = createEgress({ allow: [server.host] });
  await egress.request(server.url);
  await closed.promise;
  await egress.request(server.url);
  expect(server.connections()).toBe(2);
});

test("disposing closes the connections", async () => {
  const server = await startOutsideServer();
  const closed = Promise.withResolvers<void>();
  server.answer = (request, response) => {
    request.socket.on("close", () => closed.resolve());
    response.end();
  };
  const egress = createEgress({ allow: [server.host] });
  await egress.request(server.url);
  egress[Symbol.dispose]();
  await closed.promise;
  expect(server.connections()).toBe(1);
});

/** A certificate signed by itself, and its key. */
function certificateOf(name: string): { cert: string; key: string } {
  const made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x"];
  const pem = execFileSync("openssl", [...made, "-addext", `subjectAltName=DNS:${name}`, "-keyout", "-"], {
    stdio: "pipe",
  });
  const [key = "", cert = ""] = pem.toString().split(/(?=-----BEGIN CERTIFICATE)/);
  return { cert, key };
}

test("hosts of the Internet keep their connections, 256 idle ones in all: the one longest idle is closed", async () => {
  const server = await startOutsideServer(undefined, own);
  // As if all of them were at a public address.
  using connections = createConnections((_host, _options, callback) =>
    callback(null, [{ address: "127.0.0.1", family: 4 }]),
  );
  const agent = connections.agentFor(false, true);
  const ask = async (host: string) => {
    const url = new URL(`https://${host}.pool.example:${server.port}/`);
    const asked = {
      agent,
      method: "GET",
      headers: {},
      body: undefined,
      maxBytes: 1,
      signal: new AbortController().signal,
    };
    return (await exchange({ url, origin: url.host, isAllowed: false }, asked)).status;
  };
  for (let i = 0; i < 260; i++) expect(await ask(`host${i}`)).toBe(200);
  const kept = Object.values(agent.freeSockets).flatMap((sockets = []) =>
    sockets.filter((socket) => !socket.destroyed),
  );
  expect(kept.length).toBeLessThanOrEqual(256);
  await ask("host259");
  expect(server.connections()).toBe(260);
  await ask("host0");
  expect(server.connections()).toBe(261);
});
