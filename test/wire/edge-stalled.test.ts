import { connect as connectHttp2 } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, expect, test } from "vitest";
import { WatchPresenceRequestSchema } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { UpsertUserRequestSchema } from "../../src/gen/muster/v1/user_service_pb.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { enveloped } from "./edge-outcomes.ts";
import { dial, overHttp2, startEdge, UPSERT_USER, WATCH } from "./edge-server.ts";

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const edge of open.splice(0)) await edge[Symbol.asyncDispose]();
});

/** An edge whose clock stands still, and a call over HTTP/2 whose answer nobody reads. */
async function startUnread(path: string, contentType: string, body: Uint8Array) {
  const clock = createFakeClock();
  const edge = await startEdge({ clock, limits: { pingIntervalMs: 3_600_000 } });
  open.push(edge);
  const session = connectHttp2(edge.url);
  session.on("error", () => {});
  const stream = session.request({ ":method": "POST", ":path": path, "content-type": contentType });
  const broken = new Promise<number | undefined>((resolve) => {
    stream.on("error", () => {});
    stream.once("close", () => resolve(stream.rstCode));
  });
  await new Promise((resolve) => {
    stream.once("response", resolve);
    stream.end(body);
  });
  // What is on the way fills the client's window.
  await new Promise((resolve) => setTimeout(resolve, 100));
  return { clock, edge, session, stream, broken };
}

const watched = create(WatchPresenceRequestSchema, { refs: [{ ref: { case: "externalId", value: "a" } }] });
const flood = enveloped(toBinary(WatchPresenceRequestSchema, watched));
const CANCEL = 8;

test("a stream whose reader accepts nothing for a minute is broken off, and its connection is not", async () => {
  const { clock, edge, session, broken } = await startUnread(WATCH, "application/grpc", flood);
  await clock.advance(50_000);
  expect(edge.streams.size).toBe(1);
  await clock.advance(20_000);
  await expect.poll(() => edge.streams.size).toBe(0);
  expect(edge.ended.length).toBeGreaterThan(0);
  // The reset overtakes what was never read.
  expect(
    await Promise.race([broken, new Promise((resolve) => session.ping(() => setTimeout(resolve, 50, "open")))]),
  ).toBe(CANCEL);
  expect(session.destroyed).toBe(false);
  session.destroy();
});

test("a reader that is slow and reads is not broken off", async () => {
  const { clock, edge, session, stream } = await startUnread(WATCH, "application/grpc", flood);
  for (let minute = 0; minute < 4; minute++) {
    for (let read = 0; read < 20; read++) {
      stream.read();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await clock.advance(40_000);
  }
  expect(edge.streams.size).toBe(1);
  session.destroy();
});

test("a long answer that nobody takes is broken off too", async () => {
  const message = create(UpsertUserRequestSchema, { user: { name: "x".repeat(900_000) } });
  const body = enveloped(toBinary(UpsertUserRequestSchema, message));
  const { clock, session, stream, broken } = await startUnread(UPSERT_USER, "application/grpc", body);
  await clock.advance(60_000);
  expect(stream.destroyed).toBe(false);
  await clock.advance(70_000);
  expect(await broken).toBe(CANCEL);
  session.destroy();
});

test("an HTTP/1.1 connection whose reader has stalled is closed", async () => {
  const clock = createFakeClock();
  const edge = await startEdge({ clock });
  open.push(edge);
  const socket = dial(edge.port);
  socket.pause();
  const head = `POST ${WATCH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/grpc-web+proto\r\ncontent-length: ${flood.length}\r\n\r\n`;
  socket.write(Buffer.concat([Buffer.from(head), flood]));
  await expect.poll(() => edge.streams.size).toBe(1);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await clock.advance(70_000);
  await expect.poll(() => edge.http.connections).toBe(0);
  socket.destroy();
});

test("an answer that was taken holds nothing back", async () => {
  const clock = createFakeClock();
  const edge = await startEdge({ clock });
  open.push(edge);
  const answer = await overHttp2(edge.url, UPSERT_USER, { "content-type": "application/json" }, Buffer.from("{}"));
  expect(answer.status).toBe(200);
  await expect.poll(() => edge.http.sessions).toBe(0);
  await clock.advance(5_000);
  expect(clock.pending).toBe(0);
});
