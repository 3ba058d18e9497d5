import { createServer } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createClientAddress } from "../../src/rpc/client-address.ts";
import { createTracing, parentOf } from "../../src/rpc/tracing.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { dial, GET_USER, overHttp2, startEdge } from "./edge-server.ts";

let edge: Awaited<ReturnType<typeof startEdge>>;
let aborted = false;
beforeAll(async () => {
  edge = await startEdge({
    trustedProxies: ["127.0.0.1"],
    routes: [
      { method: "GET", path: /^\/echo\/(\w+)$/, handle: ({ match }) => ({ status: 200, body: match[1] ?? "" }) },
      { method: "GET", path: /^\/form$/, handle: ({ method, query }) => ({ status: 200, body: `${method} ${query}` }) },
      {
        method: "POST",
        path: /^\/form$/,
        handle: ({ method, form, peer }) => ({ status: 200, body: `${method} ${JSON.stringify([...form])} ${peer}` }),
      },
      {
        method: "GET",
        path: /^\/broken$/,
        handle: () => {
          throw new Error("secret");
        },
      },
      {
        method: "GET",
        path: /^\/slow$/,
        handle: ({ signal }) =>
          new Promise((resolve) =>
            signal.addEventListener("abort", () => {
              aborted = true;
              resolve({ status: 200 });
            }),
          ),
      },
    ],
  });
});
afterAll(() => edge[Symbol.asyncDispose]());

test("a plain route answers GET and HEAD alike, with an ETag, and nosniff", async () => {
  const got = await fetch(`${edge.url}/echo/hello?x=1`);
  expect(await got.text()).toBe("hello");
  expect(got.headers.get("x-content-type-options")).toBe("nosniff");
  const head = await fetch(`${edge.url}/echo/hello`, { method: "HEAD" });
  expect(head.headers.get("etag")).toBe(got.headers.get("etag"));
  expect(head.headers.get("content-length")).toBe("5");
  expect(await head.text()).toBe("");
});

test("If-None-Match of what did not change is answered 304 without a body", async () => {
  const etag = (await fetch(`${edge.url}/echo/hello`)).headers.get("etag") ?? "";
  for (const tag of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
    const answer = await fetch(`${edge.url}/echo/hello`, { headers: { "if-none-match": tag } });
    expect(answer.status).toBe(304);
    expect(answer.headers.get("etag")).toBe(etag);
    expect(await answer.text()).toBe("");
  }
  expect((await fetch(`${edge.url}/echo/changed`, { headers: { "if-none-match": etag } })).status).toBe(200);
});

test("an unknown path is 404, another method 405 with Allow, and a fault 500 without its cause", async () => {
  expect((await fetch(`${edge.url}/nothing`)).status).toBe(404);
  const refused = await fetch(`${edge.url}/echo/hello`, { method: "POST", body: "x" });
  expect([refused.status, refused.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  for (const answer of [
    await fetch(`${edge.url}/broken`),
    { status: (await overHttp2(edge.url, "/broken", {})).status },
  ])
    expect(answer.status).toBe(500);
  expect(await (await fetch(`${edge.url}/broken`)).text()).toBe("");
  expect(edge.log.join()).toContain("secret");
});

const FORM = { "content-type": "application/x-www-form-urlencoded" };

test("a route for POST is given the form, over HTTP/1.1 and HTTP/2; a 200 to it is no page to keep", async () => {
  const body = "a=b+c&d=%C3%A9&a=";
  const told = 'POST [["a","b c"],["d","é"],["a",""]] 127.0.0.1';
  const headers = { "content-type": 'Application/x-www-form-urlencoded; charset="UTF-8"', "if-none-match": "*" };
  const answer = await fetch(`${edge.url}/form`, { method: "POST", headers, body });
  expect([answer.status, await answer.text(), answer.headers.get("etag")]).toEqual([200, told, null]);
  expect(answer.headers.get("cache-control")).toBe("no-store");
  const over2 = await overHttp2(edge.url, "/form", FORM, Buffer.from(body));
  expect([over2.status, over2.body.toString()]).toEqual([200, told]);
  const socket = dial(edge.port);
  const chunks = "3\r\na=b\r\n4\r\n&c=d\r\n0\r\n\r\n";
  socket.end(
    `POST /form HTTP/1.1\r\nhost: x\r\ncontent-type: ${FORM["content-type"]}\r\ntransfer-encoding: chunked\r\n\r\n${chunks}`,
  );
  await socket.gone;
  expect(socket.text()).toContain('POST [["a","b"],["c","d"]]');
});

test("the same path answers GET and HEAD apart from POST, and other methods are 405 with all three", async () => {
  expect(await (await fetch(`${edge.url}/form?a=b&c`)).text()).toBe("GET a=b&c=");
  expect((await fetch(`${edge.url}/form`, { method: "HEAD" })).headers.get("content-length")).toBe("5");
  for (const method of ["PUT", "DELETE", "PATCH", "OPTIONS", "QUERY"]) {
    const { status, headers } = await fetch(`${edge.url}/form`, { method });
    expect([status, headers.get("allow")], method).toEqual([405, "GET, HEAD, POST"]);
  }
});

test("a POST without a form, or with more than 64 KiB of it, is refused, and the connection lives on or says so", async () => {
  const post = (headers: Record<string, string>, body: string) =>
    fetch(`${edge.url}/form`, { method: "POST", headers, body });
  for (const type of [
    "application/json",
    "multipart/form-data; boundary=x",
    "text/plain",
    "",
    `${FORM["content-type"]}x`,
  ])
    expect((await post({ "content-type": type }, "a=b")).status, type).toBe(415);
  expect((await post({ ...FORM, "content-encoding": "gzip" }, "a=b")).status).toBe(415);
  const fits = "a".repeat(64 * 1024);
  expect((await post(FORM, fits)).status).toBe(200);
  expect((await post(FORM, `${fits}a`)).status).toBe(413);
  expect((await overHttp2(edge.url, "/form", FORM, Buffer.from(`${fits}a`))).status).toBe(413);
  expect((await overHttp2(edge.url, "/form", FORM, Buffer.alloc(2_000_000, "a"))).status).toBe(413);
  expect((await post(FORM, "a=b")).status).toBe(200);
});

test("a form that does not arrive is given up after ten seconds", async () => {
  const clock = createFakeClock();
  const slow = await startEdge({
    clock,
    routes: [{ method: "POST", path: /^\/form$/, handle: () => ({ status: 200 }) }],
  });
  const session = connectHttp2(slow.url);
  const stream = session.request({ ":method": "POST", ":path": "/form", ...FORM });
  const status = new Promise((resolve) => stream.on("response", (headers) => resolve(headers[":status"])));
  stream.write("a=");
  // It takes a moment until the server waits for the rest.
  let answered: unknown;
  void status.then((told) => {
    answered = told;
  });
  while (answered === undefined) await clock.advance(1_000);
  expect(answered).toBe(408);
  session.destroy();
  await slow[Symbol.asyncDispose]();
});

test("a plain route hears of a client that leaves", async () => {
  await expect(fetch(`${edge.url}/slow`, { signal: AbortSignal.timeout(50) })).rejects.toThrow("timeout");
  await expect.poll(() => aborted).toBe(true);
});

test("metrics are there in the text format of Prometheus", async () => {
  const answer = await fetch(`${edge.url}/metrics`);
  expect(answer.headers.get("content-type")).toContain("text/plain");
  const text = await answer.text();
  expect(text).toContain("muster_rpc_duration_seconds");
  expect(text).toContain("nodejs_eventloop_lag_seconds");
});

const preflight = (origin: string) =>
  fetch(edge.url + GET_USER, {
    method: "OPTIONS",
    headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization" },
  });

test("a preflight of a known origin is told exactly that origin, and what it may send", async () => {
  const { status, headers } = await preflight("https://app.example");
  expect(status).toBe(204);
  expect(headers.get("access-control-allow-origin")).toBe("https://app.example");
  expect(headers.get("access-control-allow-credentials")).toBe("true");
  expect(headers.get("access-control-allow-methods")).toBe("POST, GET");
  const allowed = (headers.get("access-control-allow-headers") ?? "").toLowerCase().split(", ");
  expect(allowed).toEqual(
    expect.arrayContaining([
      "authorization",
      "x-muster-token",
      "content-type",
      "connect-protocol-version",
      "x-grpc-web",
    ]),
  );
  expect(headers.get("vary")).toContain("Origin");
});

test.for([
  "https://evil.example",
  "https://app.example.evil.example",
  "http://app.example",
  "null",
  "https://app.example/",
  "*",
])("the origin %j is not allowed", async (origin) => {
  const { headers } = await preflight(origin);
  expect(headers.get("access-control-allow-origin")).toBeNull();
  expect(headers.get("vary")).toContain("Origin");
  const answer = await fetch(edge.url + GET_USER, {
    method: "POST",
    headers: { origin, "content-type": "application/json" },
    body: "{}",
  });
  expect(answer.headers.get("access-control-allow-origin")).toBeNull();
});

test("a known origin may read answers and errors", async () => {
  for (const body of ["{}", "{"]) {
    const { headers } = await fetch(edge.url + GET_USER, {
      method: "POST",
      headers: { origin: "https://app.example", "content-type": "application/json" },
      body,
    });
    expect(headers.get("access-control-allow-origin")).toBe("https://app.example");
    expect(headers.get("access-control-expose-headers")?.toLowerCase()).toContain("grpc-status");
    expect(headers.get("vary")).toContain("Origin");
  }
});

test("the client's address is the peer's, unless a trusted proxy says otherwise", async () => {
  const direct = createClientAddress([]);
  expect(direct("203.0.113.9", "198.51.100.1")).toBe("203.0.113.9");
  expect(direct("::ffff:203.0.113.9", undefined)).toBe("203.0.113.9");
  expect(direct(undefined, "198.51.100.1")).toBe("");
  const proxied = createClientAddress(["10.0.0.0/8", "2001:db8::/32"]);
  expect(proxied("10.1.2.3", "198.51.100.1")).toBe("198.51.100.1");
  expect(proxied("10.1.2.3", "1.1.1.1, 198.51.100.1, 10.9.9.9")).toBe("198.51.100.1");
  expect(proxied("203.0.113.9", "198.51.100.1")).toBe("203.0.113.9");
  expect(proxied("10.1.2.3", undefined)).toBe("10.1.2.3");
  expect(proxied("10.1.2.3", "not an address")).toBe("10.1.2.3");
  expect(proxied("2001:db8::1", "[2001:db9::5]:4711")).toBe("2001:db9::5");
  expect(proxied("10.1.2.3", ["1.1.1.1", "198.51.100.1:80"])).toBe("198.51.100.1");
  for (const bad of ["10.0.0.0/33", "localhost", "10.0.0.0/x", "10.0.0.0/8/8", ""])
    expect(() => createClientAddress([bad])).toThrow(RangeError);
});

test("the address reaches the call", async () => {
  const answer = await fetch(edge.url + GET_USER, {
    method: "POST",
    headers: { "content-type": "application/json", "x-forwarded-for": "9.9.9.9, 198.51.100.7" },
    body: "{}",
  });
  expect(await answer.json()).toMatchObject({ user: { name: "198.51.100.7" } });
});

test("the caller's span is read from traceparent, and from nothing that is none", () => {
  const id = "4bf92f3577b34da6a3ce929d0e0e4736";
  const parent = (traceparent: string) => parentOf(new Headers({ traceparent }));
  expect(parent(`00-${id}-00f067aa0ba902b7-01`)).toEqual({
    traceId: id,
    spanId: "00f067aa0ba902b7",
    traceFlags: 1,
    isRemote: true,
  });
  for (const bad of [
    "",
    `ff-${id}-00f067aa0ba902b7-01`,
    `00-${"0".repeat(32)}-00f067aa0ba902b7-01`,
    `00-${id}-00f067aa0ba902b7`,
  ])
    expect(parent(bad)).toBeUndefined();
});

test("spans go to the collector that is configured, under the caller's", async () => {
  const bodies: string[] = [];
  const collector = createServer((request, response) => {
    let body = `${request.url} `;
    request.on("data", (chunk) => {
      body += String(chunk);
    });
    request.on("end", () => {
      bodies.push(body);
      response.end("{}");
    });
  });
  await new Promise<void>((resolve) => void collector.listen(0, "127.0.0.1", resolve));
  const { port } = collector.address() as AddressInfo;
  const tracing = await createTracing(`http://127.0.0.1:${port}`);
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  tracing
    .startCall("muster.v1.UserService", "GetUser", new Headers({ traceparent: `00-${traceId}-00f067aa0ba902b7-01` }))
    .end("ok");
  await tracing[Symbol.asyncDispose]();
  collector.close();
  expect(bodies.join()).toContain("/v1/traces");
  expect(bodies.join()).toContain(traceId);
  expect(bodies.join()).toContain("muster.v1.UserService/GetUser");
});
