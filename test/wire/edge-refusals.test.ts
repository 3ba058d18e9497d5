import { gzipSync } from "node:zlib";
import { create, type DescMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BadRequestSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { WatchPresenceRequestSchema } from "../../src/gen/muster/v1/presence_service_pb.ts";
import {
  connectOutcome,
  enveloped,
  grpcOutcome,
  grpcWebOutcome,
  lastEnvelope,
  overHttp1,
  type,
} from "./edge-outcomes.ts";
import { GET_USER, overHttp2, startEdge, UPSERT_USER, WATCH } from "./edge-server.ts";

let edge: Awaited<ReturnType<typeof startEdge>>;
beforeAll(async () => {
  edge = await startEdge();
});
afterAll(() => edge[Symbol.asyncDispose]());

const detailsOf = <S extends DescMessage>(error: { details?: { type: string; value: string }[] }, schema: S) =>
  (error.details ?? []).flatMap(({ type: name, value }) =>
    name === schema.typeName ? [fromBinary(schema, Buffer.from(value, "base64"))] : [],
  );

const h1 = (path: string, headers: Record<string, string>, body?: Uint8Array) =>
  overHttp1(edge.url, path, headers, body);
const h2 = (path: string, headers: Record<string, string>, body?: Uint8Array) =>
  overHttp2(edge.url, path, headers, body);

const get = (query: string) => `${GET_USER}?${query}`;
const BAD_QUERIES: Record<string, string> = {
  "broken base64": get("encoding=proto&base64=1&message=%21%21"),
  "base64 of a length that cannot be": get("encoding=proto&base64=1&message=A"),
  "base64 of no message": get(`encoding=proto&base64=1&message=${Buffer.of(0x0a, 9).toString("base64url")}`),
  "broken JSON": get("encoding=json&message=%7B"),
  "no message in JSON": get("encoding=json"),
  "invalid UTF-8": get("encoding=json&message=%7B%22a%22%3A%22%ff%22%7D"),
  "broken gzip": get("encoding=json&compression=gzip&base64=1&message=AAAA"),
};

test.for(Object.entries(BAD_QUERIES))(
  "a GET with %s is an invalid argument on both versions of HTTP",
  async ([, path]) => {
    for (const answer of [await h1(path, {}), await h2(path, {})]) {
      expect(answer.status).toBe(400);
      const { code, reason } = connectOutcome(JSON.parse(String(answer.body)));
      expect({ code, reason }).toEqual({ code: "invalid_argument", reason: "REQUEST_INVALID" });
    }
  },
);

test("a GET takes base64 with and without padding, and compressed", async () => {
  const message = Buffer.from('{"ref":{"externalId":"zoë"}}');
  for (const query of [
    `encoding=json&base64=1&message=${encodeURIComponent(message.toString("base64"))}`,
    `encoding=json&base64=1&message=${message.toString("base64url")}`,
    `encoding=json&base64=1&compression=gzip&message=${gzipSync(message).toString("base64url")}`,
    `encoding=json&message=${encodeURIComponent(String(message))}`,
  ])
    expect(JSON.parse(String((await h1(get(query), {})).body))).toMatchObject({ user: { id: "zoë" } });
});

const BAD_ENVELOPES: Record<string, Uint8Array> = {
  "no message": Buffer.alloc(0),
  "two messages": Buffer.concat([encodeEnvelope(0, new Uint8Array()), encodeEnvelope(0, new Uint8Array())]),
  "half an envelope": Buffer.from([0, 0, 0]),
  "an envelope that is longer than the body": Buffer.from([0, 0, 0, 0, 9, 1]),
  "unknown flags": encodeEnvelope(0x40, new Uint8Array()),
  "a compressed message without a word on how": encodeEnvelope(1, gzipSync("")),
};

test.for(Object.entries(BAD_ENVELOPES))(
  "a body of %s is an invalid argument on every protocol with envelopes",
  async ([, body]) => {
    const outcomes = [
      grpcOutcome((await h2(UPSERT_USER, type("application/grpc"), body)).trailers),
      grpcWebOutcome(await h2(UPSERT_USER, type("application/grpc-web"), body)),
      grpcOutcome((await h2(WATCH, type("application/grpc"), body)).trailers),
      connectOutcome(
        JSON.parse(String(lastEnvelope((await h2(WATCH, type("application/connect+proto"), body)).body))).error,
      ),
      connectOutcome(
        JSON.parse(String(lastEnvelope((await h1(WATCH, type("application/connect+json"), body)).body))).error,
      ),
    ];
    for (const { code, reason } of outcomes)
      expect({ code, reason }).toEqual({ code: "invalid_argument", reason: "REQUEST_INVALID" });
  },
);

test("a malformed message that opens a stream is an invalid argument", async () => {
  const message = toBinary(
    WatchPresenceRequestSchema,
    create(WatchPresenceRequestSchema, { minInterval: { seconds: 315_576_000_001n, nanos: 0 } }),
  );
  const outcomes = [
    grpcOutcome((await h2(WATCH, type("application/grpc"), enveloped(message))).trailers),
    grpcWebOutcome(await h1(WATCH, type("application/grpc-web"), enveloped(message))),
    connectOutcome(
      JSON.parse(String(lastEnvelope((await h1(WATCH, type("application/connect+proto"), enveloped(message))).body)))
        .error,
    ),
  ];
  for (const { code, reason } of outcomes)
    expect({ code, reason }).toEqual({ code: "invalid_argument", reason: "REQUEST_INVALID" });
});

test("a malformed message within a stream of them is an invalid argument", async () => {
  const path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
  const body = Buffer.concat([enveloped(Uint8Array.of(0x3a, 1, 0x2a)), enveloped(Uint8Array.of(0x3a, 9))]);
  const answer = await h2(path, type("application/grpc"), body);
  expect(grpcOutcome(answer.trailers).code).toBe("invalid_argument");
});

test("a deadline that is none is an invalid argument", async () => {
  const { trailers } = await h2(UPSERT_USER, { ...type("application/grpc"), "grpc-timeout": "soon" }, Buffer.alloc(5));
  expect(grpcOutcome(trailers).code).toBe("invalid_argument");
  const answer = await h2(UPSERT_USER, { ...type("application/json"), "connect-timeout-ms": "-1" }, Buffer.from("{}"));
  expect(JSON.parse(String(answer.body)).code).toBe("invalid_argument");
});

test("a method that a service does not have is unimplemented in every protocol, and the refusal says so", async () => {
  const path = "/muster.v1.UserService/Nothing";
  const body = enveloped(Buffer.from("{}"));
  const nothing = enveloped(new Uint8Array());
  const outcomes = [
    grpcOutcome((await h2(path, type("application/grpc"), nothing)).trailers),
    grpcWebOutcome(await h1(path, type("application/grpc-web+proto"), nothing)),
    connectOutcome(JSON.parse(String((await h2(path, type("application/json"), Buffer.from("{}"))).body))),
    connectOutcome(
      JSON.parse(String(lastEnvelope((await h1(path, type("application/connect+json"), body)).body))).error,
    ),
  ];
  for (const { code, reason } of outcomes)
    expect({ code, reason }).toEqual({ code: "unimplemented", reason: "UNIMPLEMENTED" });
});

test("a compression that is not served is unimplemented in every protocol, and the refusal says so", async () => {
  const outcomes = [
    grpcOutcome(
      (
        await h2(
          UPSERT_USER,
          { ...type("application/grpc"), "grpc-encoding": "br" },
          encodeEnvelope(1, Buffer.from("x")),
        )
      ).trailers,
    ),
    connectOutcome(
      JSON.parse(
        String(
          (await h1(UPSERT_USER, { ...type("application/json"), "content-encoding": "br" }, Buffer.from("x"))).body,
        ),
      ),
    ),
    connectOutcome(JSON.parse(String((await h1(get("encoding=json&compression=br&base64=1&message=AAAA"), {})).body))),
    connectOutcome(
      JSON.parse(
        String(
          lastEnvelope(
            (
              await h1(
                WATCH,
                { ...type("application/connect+json"), "connect-content-encoding": "br" },
                encodeEnvelope(1, Buffer.from("x")),
              )
            ).body,
          ),
        ),
      ).error,
    ),
  ];
  for (const { code, reason } of outcomes)
    expect({ code, reason }).toEqual({ code: "unimplemented", reason: "UNIMPLEMENTED" });
});

test("JSON of another type than the field's is refused by the field's name", async () => {
  for (const [body, field] of [
    ['{"externalId":5}', "external_id"],
    ['{"user":{"tags":"a"}}', "tags"],
    ['{"user":{"metadata":[]}}', ""],
    ["{", ""],
  ]) {
    const { body: answer } = await h1(UPSERT_USER, type("application/json"), Buffer.from(body ?? ""));
    const [bad] = detailsOf(JSON.parse(String(answer)), BadRequestSchema);
    expect(bad?.fieldViolations.map((violation) => violation.field)).toEqual([field]);
    expect(String(answer)).not.toContain("muster.v1.U");
  }
});

test("what says it is gzip and is not is an invalid argument", async () => {
  for (const body of [Buffer.from("not gzip"), gzipSync("{}").subarray(0, 12)]) {
    const answer = await h2(UPSERT_USER, { ...type("application/json"), "content-encoding": "gzip" }, body);
    expect(JSON.parse(String(answer.body)).code).toBe("invalid_argument");
  }
});

test("a gzip bomb is refused without being unpacked", async () => {
  const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024), { level: 9 });
  const before = process.memoryUsage().rss;
  const outcomes = [
    connectOutcome(
      JSON.parse(
        String((await h2(UPSERT_USER, { ...type("application/json"), "content-encoding": "gzip" }, bomb)).body),
      ),
    ),
    grpcOutcome(
      (await h2(UPSERT_USER, { ...type("application/grpc"), "grpc-encoding": "gzip" }, encodeEnvelope(1, bomb)))
        .trailers,
    ),
  ];
  for (const { code, reason } of outcomes)
    expect({ code, reason }).toEqual({ code: "resource_exhausted", reason: "MESSAGE_TOO_LARGE" });
  expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
});

test("the content type, the method and the path each have their status", async () => {
  const post = (path: string, contentType: string) => h2(path, type(contentType), Buffer.from("{}"));
  for (const contentType of [
    "text/plain",
    "application/grpc-web-text",
    "application/connect+json",
    "application/xml",
    "application/json; charset=latin1",
  ])
    expect((await post(UPSERT_USER, contentType)).status).toBe(415);
  expect((await post(WATCH, "application/json")).status).toBe(415);
  expect((await post("/muster.v1.NothingService/GetUser", "application/json")).status).toBe(404);
  expect((await post("/muster.v1.UserService/Nothing", "text/plain")).status).toBe(404);
  expect((await h2("/muster.v1.UserService/Nothing", {})).status).toBe(404);
  expect((await h2(`${GET_USER}?encoding=xml&message=`, {})).status).toBe(415);
  const refused = await h2(`${UPSERT_USER}?encoding=json&message=%7B%7D`, {});
  expect(refused.status).toBe(405);
  expect(refused.headers["allow"]).toBe("POST");
  expect((await fetch(edge.url + GET_USER, { method: "PUT" })).headers.get("allow")).toContain("GET");
});

test("nothing malformed was worth a line in the log", () => {
  expect(edge.log).toEqual([]);
});
