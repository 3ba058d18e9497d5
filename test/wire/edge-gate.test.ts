import { connect as connectHttp2 } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { ServerReflection, ServerReflectionRequestSchema } from "../../src/gen/grpc/reflection/v1/reflection_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { createLogger } from "../../src/logger.ts";
import { createRpcHandler } from "../../src/rpc/adapter.ts";
import { createHttpServer, type HttpServer } from "../../src/rpc/http.ts";
import { createStreamRegistry } from "../../src/rpc/open-streams.ts";
import { reflectionServices } from "../../src/rpc/reflection.ts";
import { startApp } from "../support/start-app.ts";
import {
  connectOutcome,
  enveloped,
  grpcOutcome,
  grpcWebOutcome,
  lastEnvelope,
  overHttp1,
  type,
} from "./edge-outcomes.ts";
import { dial, overHttp2, UPSERT_USER, WATCH } from "./edge-server.ts";

const { app, project } = await startApp();
let http: HttpServer;
let url: string;
let port: number;

beforeAll(async () => {
  const logger = createLogger("silent");
  const streams = createStreamRegistry(systemClock);
  const routes: typeof app.routes = (router) => {
    app.routes(router);
    router.service(ServerReflection, reflectionServices([UserService]).v1);
  };
  const rpc = createRpcHandler({ ...app, routes, fastPath: true, clientAddress: () => "", clock: systemClock, logger });
  http = createHttpServer({ rpc, routes: [], cors: app, streams, clock: systemClock, logger });
  ({ port } = await http.listen(0, "127.0.0.1"));
  url = `http://127.0.0.1:${port}`;
});
afterAll(() => http[Symbol.asyncDispose]());

/** Bytes that are no message of any call. */
const GARBAGE = Uint8Array.of(0xff, 0xff, 0xff);
const bearer = (credential: string) => ({ authorization: `Bearer ${credential}` });

async function outcomes(credential: Record<string, string>, path = UPSERT_USER, watch = WATCH) {
  const sent = (contentType: string) => ({ ...type(contentType), ...credential });
  const stream = await overHttp1(url, watch, sent("application/connect+proto"), enveloped(GARBAGE));
  const all = [
    grpcOutcome((await overHttp2(url, path, sent("application/grpc"), enveloped(GARBAGE))).trailers),
    grpcWebOutcome(await overHttp1(url, path, sent("application/grpc-web"), enveloped(GARBAGE))),
    connectOutcome(JSON.parse(String((await overHttp1(url, path, sent("application/proto"), GARBAGE)).body))),
    connectOutcome(JSON.parse(String((await overHttp2(url, path, sent("application/json"), GARBAGE)).body))),
    connectOutcome(JSON.parse(String(lastEnvelope(stream.body))).error),
  ];
  return all.map(({ reason }) => reason);
}

test("who is refused for its credential is told that, in every protocol, whatever its message", async () => {
  const { accessKey, signedInUser } = await project();
  const { token } = await signedInUser();
  expect(new Set(await outcomes({}))).toEqual(new Set(["CREDENTIAL_MISSING"]));
  expect(new Set(await outcomes(bearer("msk_wrong")))).toEqual(new Set(["CREDENTIAL_INVALID"]));
  expect(new Set(await outcomes(bearer("a.b.c")))).toEqual(new Set(["TOKEN_INVALID"]));
  expect((await outcomes(bearer(token))).slice(0, 4)).toEqual(Array(4).fill("PRINCIPAL_NOT_ALLOWED"));
  expect(new Set(await outcomes(bearer(accessKey)))).toEqual(new Set(["REQUEST_INVALID"]));
});

test("who may not call is not listened to: the answer is there before the message is", async () => {
  const socket = dial(port);
  socket.write(
    `POST ${UPSERT_USER} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n{`,
  );
  await expect.poll(socket.text).toContain("CREDENTIAL_MISSING");
  socket.destroy();
  const session = connectHttp2(url);
  const stream = session.request({ ":method": "POST", ":path": UPSERT_USER, "content-type": "application/json" });
  stream.on("error", () => {});
  stream.write("{");
  let text = "";
  stream.on("data", (chunk) => {
    text += chunk;
  });
  await expect.poll(() => text).toContain("CREDENTIAL_MISSING");
  // The server ends the stream too, and the connection goes on.
  await new Promise((resolve) => stream.once("close", resolve));
  expect(session.destroyed).toBe(false);
  session.destroy();
});

test("a refused call over HTTP/1.1 leaves the connection in order for the next one", async () => {
  const socket = dial(port);
  const body = "x".repeat(200_000);
  const call = `POST ${UPSERT_USER} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  socket.write(call);
  await expect.poll(socket.text).toContain("CREDENTIAL_MISSING");
  socket.write(call);
  await expect.poll(() => socket.text().match(/HTTP\/1\.1 401/g)?.length).toBe(2);
  socket.destroy();
});

test("without a credential a message has at most 64 KiB, with one 1 MiB", async () => {
  const { accessKey } = await project();
  const path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
  const asked = async (length: number, credential: Record<string, string>) => {
    const messageRequest = { case: "fileContainingSymbol", value: "x".repeat(length) } as const;
    const message = toBinary(ServerReflectionRequestSchema, create(ServerReflectionRequestSchema, { messageRequest }));
    return grpcOutcome(
      (await overHttp2(url, path, { ...type("application/grpc"), ...credential }, enveloped(message))).trailers,
    ).code;
  };
  expect(await asked(60_000, {})).toBe("ok");
  expect(await asked(70_000, {})).toBe("resource_exhausted");
  expect(await asked(70_000, bearer(accessKey))).toBe("ok");
  expect(await asked(1_100_000, bearer(accessKey))).toBe("resource_exhausted");
});
