import { constants } from "node:http2";
import { connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { CARRIERS, type Carrier, draftOf, requestOf, STREAM_CARRIERS } from "./carriers.ts";
import { type Pair, startPair } from "./compare.ts";
import type { RawRequest } from "./raw-call.ts";
import { LASTING } from "./stream-behaviours.ts";

let pair: Pair;
beforeAll(async () => {
  pair = await startPair();
});
afterAll(() => pair[Symbol.asyncDispose]());

const POSTS = [...CARRIERS, ...STREAM_CARRIERS].filter(({ contentType }) => contentType);

/** Sends a request and leaves before it is answered. */
async function leave(index: 0 | 1, { http, method, path, headers, body = Buffer.alloc(0), ends }: RawRequest) {
  const { port, began } = pair.twins[index];
  // A message that is not whole comes to no service.
  const arrived = () => (ends === false ? pause(30) : vi.waitUntil(() => pair.twins[index].began > began, 20_000));
  if (http === "2") {
    const stream = pair.clients[index].session.request([
      ":method",
      method,
      ":path",
      path,
      ":scheme",
      "http",
      ":authority",
      "test.example",
      ...headers.flat(),
    ]);
    stream.on("error", () => {});
    stream.write(body);
    if (ends !== false) stream.end();
    await arrived();
    stream.close(constants.NGHTTP2_CANCEL);
    return;
  }
  const socket = connect(port, "127.0.0.1").on("error", () => {});
  const lines = [
    ["host", "test.example"],
    ["content-length", String(body.length + (ends === false ? 1 : 0))],
    ...headers,
  ];
  socket.write(`${method} ${path} HTTP/1.1\r\n${lines.map((line) => line.join(": ")).join("\r\n")}\r\n\r\n`);
  socket.write(body);
  await arrived();
  socket.destroy();
}

const waiting = (carrier: Carrier) => requestOf(draftOf(carrier, "gives up when it is too late"));

test.for(POSTS)("a service hears of it when the client leaves: $name", async (carrier) => {
  const { twins } = pair;
  for (const index of [0, 1] as const) {
    await leave(index, waiting(carrier));
    await expect.poll(() => twins[index].calls.length).toBe(1);
  }
  const [fast, plain] = twins.map(({ calls }) => calls.splice(0));
  expect(fast).toEqual(plain);
  expect(fast?.[0]).toContain('"code":"canceled","reason":"CANCELLED"');
});

test.for(POSTS)("a client that leaves within its message was never there: $name", async (carrier) => {
  for (const index of [0, 1] as const) await leave(index, { ...waiting(carrier), ends: false });
  expect((await pair.same(requestOf(draftOf(carrier, "answers")))).status).toBe(200);
});

const lasting = LASTING.flatMap((name) => STREAM_CARRIERS.map((carrier) => ({ name, carrier, way: carrier.name })));

test.for(lasting)(
  "a stream that $name lets go of all, once, when its client leaves: $way",
  async ({ name, carrier }) => {
    const { twins } = pair;
    for (const index of [0, 1] as const) {
      const { released } = twins[index];
      await leave(index, requestOf(draftOf(carrier, name)));
      await expect.poll(() => twins[index].released).toBe(released + 1);
      await expect.poll(() => twins[index].calls.length).toBe(1);
    }
    // A second end would show by now.
    await pause(10);
    const [fast, plain] = twins.map(({ calls }) => calls.splice(0));
    expect(fast).toHaveLength(1);
    expect(fast).toEqual(plain);
    expect(fast?.[0]).toContain('"code":"canceled"');
  },
);

/** Sends all at once over one connection, and gives what comes back until the server has answered as often. */
async function pipelined(port: number, requests: readonly string[]): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
  });
  socket.write(requests.join(""), "latin1");
  await expect.poll(() => text.match(/HTTP\/1\.1 /g)?.length).toBe(requests.length);
  socket.destroy();
  return text.replaceAll(/date: .*\r\n/gi, "").replaceAll(/^(.*)$/gm, (line) => line.toLowerCase());
}

const post = (type: string, body: string, more = "") =>
  `POST /muster.v1.UserService/GetUser HTTP/1.1\r\nhost: test.example\r\ncontent-type: ${type}\r\nx-request-id: r\r\n` +
  `authorization: Bearer msk_good\r\n${more}content-length: ${body.length}\r\n\r\n${body}`;

test("calls that follow each other over one connection are answered in order, and it stays open", async () => {
  const json = (id: string) => post("application/json", JSON.stringify({ ref: { externalId: id } }));
  const requests = [
    json("answers later"),
    json("fails by a reason"),
    post("application/grpc-web", Buffer.from(encodeEnvelope(0, Buffer.of(10, 3, 18, 1, 65))).toString("latin1")),
    json("sets headers and trailers"),
  ];
  const [fast, plain] = await Promise.all(pair.twins.map(({ port }) => pipelined(port, requests)));
  const headers = (text: string | undefined) => text?.split("\r\n").toSorted();
  expect(headers(fast)).toEqual(headers(plain));
  expect(fast).toContain("connection: keep-alive");
});
