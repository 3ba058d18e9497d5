import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UpsertUserRequestSchema } from "../../src/gen/muster/v1/user_service_pb.ts";
import {
  connectOutcome,
  enveloped,
  grpcOutcome,
  grpcWebOutcome,
  type Outcome,
  overHttp1,
  type,
} from "./edge-outcomes.ts";
import { overHttp2, type RawAnswer, startEdge, UPSERT_USER } from "./edge-server.ts";

let edge: Awaited<ReturnType<typeof startEdge>>;
beforeAll(async () => {
  edge = await startEdge();
});
afterAll(() => edge[Symbol.asyncDispose]());

const h1 = (path: string, headers: Record<string, string>, body?: Uint8Array) =>
  overHttp1(edge.url, path, headers, body);
const h2 = (path: string, headers: Record<string, string>, body?: Uint8Array) =>
  overHttp2(edge.url, path, headers, body);

type Call = (message: Uint8Array) => Promise<Outcome>;
const BINARY: Record<string, Call> = {
  gRPC: async (m) =>
    grpcOutcome((await h2(UPSERT_USER, { ...type("application/grpc"), te: "trailers" }, enveloped(m))).trailers),
  "gRPC-Web, HTTP/1.1": async (m) =>
    grpcWebOutcome(await h1(UPSERT_USER, type("application/grpc-web+proto"), enveloped(m))),
  "gRPC-Web, HTTP/2": async (m) => grpcWebOutcome(await h2(UPSERT_USER, type("application/grpc-web"), enveloped(m))),
  "Connect, HTTP/1.1": async (m) =>
    connectOutcome(JSON.parse(errorText(await h1(UPSERT_USER, type("application/proto"), m)))),
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
    connectOutcome(JSON.parse(errorText(await h1(UPSERT_USER, type("application/json"), m)))),
  "Connect JSON, HTTP/2": async (m) =>
    connectOutcome(JSON.parse(errorText(await h2(UPSERT_USER, type("application/json"), m)))),
  "gRPC JSON": async (m) => grpcOutcome((await h2(UPSERT_USER, type("application/grpc+json"), enveloped(m))).trailers),
  "gRPC-Web JSON": async (m) => grpcWebOutcome(await h1(UPSERT_USER, type("application/grpc-web+json"), enveloped(m))),
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
  "a Struct that comes twice": inUser(0x82, 0x01, 0, 0x82, 0x01, 0),
  "a message that comes twice": Buffer.concat([inUser(), inUser()]),
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

test("nothing malformed was worth a line in the log", () => {
  expect(edge.log).toEqual([]);
});
