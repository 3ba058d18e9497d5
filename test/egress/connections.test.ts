import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { expect, test } from "vitest";
import { createEgress } from "../../src/egress/create-egress.ts";
import { startOutsideServer } from "../support/outside-server.ts";
import { CERTIFICATE } from "../wire/edge-certificate.ts";

setDefaultCACertificates([...getCACertificates(), CERTIFICATE]);

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
