import { gzipSync } from "node:zlib";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BadRequestSchema, ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.ts";
import { WatchPresenceRequestSchema } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { UpsertUserRequestSchema } from "../../src/gen/muster/v1/user_service_pb.ts";
import { GET_USER, overHttp2, type RawAnswer, startEdge, UPSERT_USER, WATCH } from "./edge-server.ts";

let edge: Awaited<ReturnType<typeof startEdge>>;
beforeAll(async () => {
  edge = await startEdge();
});
afterAll(() => edge[Symbol.asyncDispose]());

interface Outcome {
  readonly code: string;
  readonly reason: string | undefined;
  readonly violations: number;
}

/** The codes by their gRPC number. */
const CODES = [
  "ok",
  "canceled",
  "unknown",
  "invalid_argument",
  "deadline_exceeded",
  "not_found",
  "",
  "",
  "resource_exhausted",
  "",
  "",
  "",
  "unimplemented",
  "internal",
  "unavailable",
];

function grpcOutcome(trailers: Record<string, string>): Outcome {
  const status = fromBinary(StatusSchema, Buffer.from(trailers["grpc-status-details-bin"] ?? "", "base64"));
  const infos = status.details.filter(({ typeUrl }) => typeUrl.endsWith(ErrorInfoSchema.typeName));
  const requests = status.details.filter(({ typeUrl }) => typeUrl.endsWith(BadRequestSchema.typeName));
  const violations = requests.flatMap(({ value }) => fromBinary(BadRequestSchema, value).fieldViolations);
  const reason = infos[0] && fromBinary(ErrorInfoSchema, infos[0].value).reason;
  return { code: CODES[Number(trailers["grpc-status"])] ?? "none", reason, violations: violations.length };
}

function connectOutcome(
  error: { code?: string; details?: { type: string; debug?: unknown; value: string }[] } | undefined,
): Outcome {
  const detail = (type: string) => error?.details?.find((each) => each.type === type)?.value;
  const info = detail(ErrorInfoSchema.typeName);
  const bad = detail(BadRequestSchema.typeName);
  return {
    code: error?.code ?? "ok",
    reason: info === undefined ? undefined : fromBinary(ErrorInfoSchema, Buffer.from(info, "base64")).reason,
    violations: bad === undefined ? 0 : fromBinary(BadRequestSchema, Buffer.from(bad, "base64")).fieldViolations.length,
  };
}

/** The last envelope of a body, which ends a stream. */
function lastEnvelope(body: Buffer): Buffer {
  let last: Buffer = Buffer.alloc(0);
  for (let at = 0; at + 5 <= body.length; at += 5 + body.readUInt32BE(at + 1)) last = body.subarray(at + 5);
  return last;
}

function grpcWebOutcome({ body }: RawAnswer): Outcome {
  const lines = String(lastEnvelope(body))
    .split("\r\n")
    .map((line) => line.split(/: ?/, 2) as [string, string]);
  return grpcOutcome(Object.fromEntries(lines));
}

async function overHttp1(path: string, headers: Record<string, string>, body?: Uint8Array): Promise<RawAnswer> {
  const answer = await fetch(
    edge.url + path,
    body ? { method: "POST", headers, body: Buffer.from(body) } : { headers },
  );
  return { status: answer.status, headers: {}, trailers: {}, body: Buffer.from(await answer.arrayBuffer()) };
}

const h2 = (path: string, headers: Record<string, string>, body?: Uint8Array) =>
  overHttp2(edge.url, path, headers, body);
const type = (value: string) => ({ "content-type": value });
const enveloped = (message: Uint8Array) => encodeEnvelope(0, message);

type Call = (message: Uint8Array) => Promise<Outcome>;
const BINARY: Record<string, Call> = {
  gRPC: async (m) =>
    grpcOutcome((await h2(UPSERT_USER, { ...type("application/grpc"), te: "trailers" }, enveloped(m))).trailers),
  "gRPC-Web, HTTP/1.1": async (m) =>
    grpcWebOutcome(await overHttp1(UPSERT_USER, type("application/grpc-web+proto"), enveloped(m))),
  "gRPC-Web, HTTP/2": async (m) => grpcWebOutcome(await h2(UPSERT_USER, type("application/grpc-web"), enveloped(m))),
  "Connect, HTTP/1.1": async (m) =>
    connectOutcome(JSON.parse(errorText(await overHttp1(UPSERT_USER, type("application/proto"), m)))),
  "Connect, HTTP/2": async (m) =>
    connectOutcome(JSON.parse(errorText(await h2(UPSERT_USER, type("application/proto"), m)))),
  "gzipped Connect": async (m) =>
    connectOutcome(
      JSON.parse(
        errorText(await h2(UPSERT_USER, { ...type("application/proto"), "content-encoding": "gzip" }, gzipSync(m))),
      ),
    ),
  "gzipped gRPC": async (m) =>
    grpcOutcome(
      (await h2(UPSERT_USER, { ...type("application/grpc"), "grpc-encoding": "gzip" }, encodeEnvelope(1, gzipSync(m))))
        .trailers,
    ),
};
const JSON_CALLS: Record<string, Call> = {
  "Connect JSON, HTTP/1.1": async (m) =>
    connectOutcome(JSON.parse(errorText(await overHttp1(UPSERT_USER, type("application/json"), m)))),
  "Connect JSON, HTTP/2": async (m) =>
    connectOutcome(JSON.parse(errorText(await h2(UPSERT_USER, type("application/json"), m)))),
  "gRPC JSON": async (m) => grpcOutcome((await h2(UPSERT_USER, type("application/grpc+json"), enveloped(m))).trailers),
  "gRPC-Web JSON": async (m) =>
    grpcWebOutcome(await overHttp1(UPSERT_USER, type("application/grpc-web+json"), enveloped(m))),
};

const errorText = ({ status, body }: RawAnswer): string => (status === 200 ? "{}" : String(body));

const upsert = (message: Parameters<typeof create<typeof UpsertUserRequestSchema>>[1]) =>
  toBinary(UpsertUserRequestSchema, create(UpsertUserRequestSchema, message));
/** `user`, field 2, around the given bytes. */
const inUser = (...bytes: number[]) => Uint8Array.of(0x12, bytes.length, ...bytes);
/** A field of bytes: tag, length, content. */
const field = (tag: readonly number[], content: Uint8Array) => {
  const length: number[] = [];
  for (let rest = content.length; ; rest >>>= 7) {
    if (rest < 0x80) {
      length.push(rest);
      break;
    }
    length.push((rest & 0x7f) | 0x80);
  }
  return Buffer.from([...tag, ...length, ...content]);
};
/** Lists in lists, in the user's metadata. */
const nested = (levels: number): Uint8Array => {
  let value = Buffer.from([0x20, 1]);
  for (let level = 0; level < levels; level++) value = field([0x32], field([0x0a], value));
  const entry = Buffer.concat([field([0x0a], Buffer.from("a")), field([0x12], value)]);
  return field([0x12], field([0x82, 0x01], field([0x0a], entry)));
};
const keys = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, index]));
const deep = (levels: number): object => (levels === 1 ? {} : { a: deep(levels - 1) });

const BAD_BINARY: Record<string, Uint8Array> = {
  "random bytes": Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
  "a truncated string": Uint8Array.of(0x0a, 9, 65),
  "a field number 0": Uint8Array.of(0x00, 0x00),
  "a field of another wire type": Uint8Array.of(0x08, 1),
  "a message that runs over its parent": inUser(0x22, 40, 65, 65),
  "an end of a group that never began": Uint8Array.of(0x0c),
  "invalid UTF-8": Uint8Array.of(0x0a, 2, 0xc3, 0x28),
  "a surrogate in UTF-8": Uint8Array.of(0x0a, 3, 0xed, 0xa0, 0x80),
  "NUL in a string": upsert({ externalId: "a\0b" }),
  "NUL in a repeated string": upsert({ user: { tags: ["a", "\0"] } }),
  "messages nested beyond 100": nested(120),
  "a Struct nested beyond 16": upsert({ user: { metadata: deep(17) as never } }),
  "a Struct with NaN": upsert({ user: { metadata: { a: Number.NaN } } }),
  "a Struct with infinity": upsert({ user: { metadata: { a: { b: [Number.POSITIVE_INFINITY] } } as never } }),
  "a Struct with __proto__": upsert({ user: { metadata: JSON.parse('{"__proto__":{"admin":true}}') } }),
  "a Struct with NUL in a key": upsert({ user: { metadata: { "a\0": 1 } } }),
  "a Struct of 101 keys": upsert({ user: { metadata: keys(101) } }),
  "a Struct longer than 64 KiB": upsert({ user: { metadata: { a: "x".repeat(65_536) } } }),
  "a Struct that comes too often": inUser(...Array.from({ length: 9 }, () => [0x82, 0x01, 0]).flat()),
  "a time after the year 9999": upsert({ user: { createTime: { seconds: 253_402_300_800n, nanos: 0 } } }),
  "a time with negative nanoseconds": upsert({ user: { createTime: { seconds: 0n, nanos: -1 } } }),
};

describe.for(Object.entries(BINARY))("%s", ([, call]) => {
  test.for(Object.entries(BAD_BINARY))("refuses %s as an invalid argument", async ([, message]) => {
    const { code, reason, violations } = await call(message);
    expect({ code, reason }).toEqual({ code: "invalid_argument", reason: "REQUEST_INVALID" });
    expect(violations).toBeGreaterThan(0);
  });

  test("takes the same things within their bounds", async () => {
    const good = upsert({
      externalId: "ünïcødé 🦆",
      user: {
        metadata: { ...keys(98), constructor: 1, deep: deep(15) } as never,
        tags: ["a"],
        createTime: { seconds: 253_402_300_799n, nanos: 999_999_999 },
      },
    });
    expect((await call(good)).code).toBe("ok");
    expect((await call(upsert({ user: { metadata: { a: "x".repeat(65_000) } } }))).code).toBe("ok");
  });

  test("refuses a message of more than 1 MiB as too large", async () => {
    const { code, reason } = await call(upsert({ externalId: "x".repeat(1024 * 1024) }));
    expect({ code, reason }).toEqual({ code: "resource_exhausted", reason: "MESSAGE_TOO_LARGE" });
  });
});

const BAD_JSON: Record<string, string | Uint8Array> = {
  "no JSON": "{",
  nothing: "",
  "an array": "[]",
  "a number for a string": '{"externalId":5}',
  "a lone surrogate": '{"externalId":"\\ud800"}',
  NUL: '{"externalId":"\\u0000"}',
  "invalid UTF-8": Uint8Array.of(0x7b, 0x22, 0x65, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d),
  "a key that comes twice": '{"externalId":"a","externalId":"b"}',
  "arrays nested without end": "[".repeat(100_000),
  "a Struct nested beyond 100": `{"user":{"metadata":${'{"a":'.repeat(150)}1${"}".repeat(150)}}}`,
  "a Struct nested beyond 16": JSON.stringify({ user: { metadata: deep(17) } }),
  "a Struct with a lone surrogate": '{"user":{"metadata":{"a":"\\udfff"}}}',
  "a Struct with a lone surrogate in a key": '{"user":{"metadata":{"\\udfff":1}}}',
  "a Struct with __proto__": '{"user":{"metadata":{"a":{"__proto__":{"admin":true}}}}}',
  "a Struct with a number beyond all": '{"user":{"metadata":{"a":1e999}}}',
  "a time before the year 1": '{"user":{"createTime":"0000-12-31T00:00:00Z"}}',
};

describe.for(Object.entries(JSON_CALLS))("%s", ([, call]) => {
  test.for(Object.entries(BAD_JSON))("refuses %s as an invalid argument", async ([, message]) => {
    const { code, reason } = await call(Buffer.from(message as string));
    expect({ code, reason }).toEqual({ code: "invalid_argument", reason: "REQUEST_INVALID" });
  });

  test("passes over fields that it does not know", async () => {
    expect((await call(Buffer.from('{"externalId":"a","newField":{"x":1}}'))).code).toBe("ok");
  });
});

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
    for (const answer of [await overHttp1(path, {}), await h2(path, {})]) {
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
    expect(JSON.parse(String((await overHttp1(get(query), {})).body))).toMatchObject({ user: { id: "zoë" } });
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
        JSON.parse(String(lastEnvelope((await overHttp1(WATCH, type("application/connect+json"), body)).body))).error,
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
    grpcWebOutcome(await overHttp1(WATCH, type("application/grpc-web"), enveloped(message))),
    connectOutcome(
      JSON.parse(
        String(lastEnvelope((await overHttp1(WATCH, type("application/connect+proto"), enveloped(message))).body)),
      ).error,
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
  expect((await post("/muster.v1.UserService/Nothing", "application/json")).status).toBe(404);
  expect((await h2(`${GET_USER}?encoding=xml&message=`, {})).status).toBe(415);
  const refused = await h2(`${UPSERT_USER}?encoding=json&message=%7B%7D`, {});
  expect(refused.status).toBe(405);
  expect(refused.headers["allow"]).toBe("POST");
  expect((await fetch(edge.url + GET_USER, { method: "PUT" })).headers.get("allow")).toContain("GET");
});

test("nothing malformed was worth a line in the log", () => {
  expect(edge.log).toEqual([]);
});
