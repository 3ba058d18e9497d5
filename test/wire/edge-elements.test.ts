import { create, type DescMessage, type Message, toBinary, toJsonString } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { MusterError } from "../../src/errors.ts";
import { WatchPresenceRequestSchema } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { BatchUpsertUsersRequestSchema, UpsertUserRequestSchema } from "../../src/gen/muster/v1/user_service_pb.ts";
import { type Codec, createStrictDecode } from "../../src/rpc/strict-decode.ts";
import { createCheck } from "../../src/rpc/validate.ts";

const decode = createStrictDecode();
const check = createCheck();
const MIB = 1024 * 1024;

const metadata = Object.fromEntries(Array.from({ length: 20 }, (_, key) => [`key${key}`, key % 2 ? key : "some text"]));
const user = {
  login: "ada.lovelace",
  name: "Ada Lovelace",
  email: "ada@example.org",
  emailVerified: true,
  phone: "+491701234567",
  phoneVerified: true,
  avatarUrl: "https://example.org/ada.png",
  bio: "She wrote the first program.",
  website: "https://example.org",
  birthdate: { year: 1815, month: 12, day: 10 },
  timeZone: "Europe/London",
  location: { latitude: 51.5, longitude: -0.1 },
  tags: ["a", "b", "c", "d"],
  metadata,
};
const users = Array.from({ length: 1_000 }, (_, index) => ({ externalId: `user-${index}`, user }));
const uuid = (index: number) => `0198a7f0-0000-7000-8000-${index.toString(16).padStart(12, "0")}`;
const refs = Array.from({ length: 10_000 }, (_, index) => ({ ref: { case: "id", value: uuid(index) } as const }));

test.for<[string, DescMessage, Message]>([
  ["1,000 whole users", BatchUpsertUsersRequestSchema, create(BatchUpsertUsersRequestSchema, { users })],
  ["10,000 users to watch", WatchPresenceRequestSchema, create(WatchPresenceRequestSchema, { refs })],
])("%s pass, in binary and in JSON", ([, schema, message]) => {
  const binary = toBinary(schema, message);
  expect(binary.length).toBeLessThan(MIB);
  expect(decode(schema, "binary", binary)).toEqual(message);
  const json = Buffer.from(toJsonString(schema, message));
  expect(decode(schema, "json", json)).toEqual(message);
  expect(check(schema, message)).toEqual([]);
});

const filled = (part: string, bytes = MIB) => part.repeat(Math.floor((bytes - 100) / part.length));
const many = (part: number[]) => Buffer.alloc(Math.floor(MIB / part.length) * part.length, Buffer.from(part));
/** A field of bytes whose tag is one byte. */
const field = (tag: number, content: Uint8Array) => {
  const length: number[] = [];
  for (let rest = content.length; rest > 0 || length.length === 0; rest >>>= 7)
    length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
  return Buffer.concat([Buffer.of(tag, ...length), content]);
};
/** In `user.metadata`, a key whose value is a list of these bytes. */
const inList = (bytes: Uint8Array) => {
  const entry = Buffer.concat([field(0x0a, Buffer.from("a")), field(0x12, field(0x32, bytes))]);
  return field(0x12, Buffer.concat([Buffer.of(0x82, 0x01), field(0, field(0x0a, entry)).subarray(1)]));
};
const keys = Array.from({ length: 50_000 }, (_, index) => `"${index}":0`).join();

test.for<[string, DescMessage, Codec, Uint8Array, string]>([
  ["refs", WatchPresenceRequestSchema, "binary", many([0x0a, 0]), "REQUEST_INVALID"],
  ["unknown fields", WatchPresenceRequestSchema, "binary", many([0x78, 1]), "MESSAGE_TOO_LARGE"],
  [
    "an unknown group",
    WatchPresenceRequestSchema,
    "binary",
    Buffer.concat([Buffer.of(0x7b), many([0x78, 1])]),
    "MESSAGE_TOO_LARGE",
  ],
  ["values of a Struct", UpsertUserRequestSchema, "binary", inList(many([0x0a, 0])), "MESSAGE_TOO_LARGE"],
  ["refs", WatchPresenceRequestSchema, "json", Buffer.from(`{"refs":[${filled("{},")}{}]}`), "MESSAGE_TOO_LARGE"],
  ["unknown values", UpsertUserRequestSchema, "json", Buffer.from(`{"x":[${filled("0,")}0]}`), "MESSAGE_TOO_LARGE"],
  [
    "values of a Struct",
    UpsertUserRequestSchema,
    "json",
    Buffer.from(`{"user":{"metadata":{"a":[${filled("[],")}0]}}}`),
    "MESSAGE_TOO_LARGE",
  ],
  [
    "keys of one object",
    UpsertUserRequestSchema,
    "json",
    Buffer.from(`{"user":{"metadata":{${keys}}}}`),
    "MESSAGE_TOO_LARGE",
  ],
])("1 MiB of %s is refused, %s, %s", ([, schema, codec, bytes, reason]) => {
  expect(() => decode(schema, codec, bytes)).toThrow(expect.objectContaining({ reason }));
});

test("text counts as one value, whatever stands in it", () => {
  const name = `${filled(',[{\\\\\\"', MIB / 2)}`;
  const message = decode(UpsertUserRequestSchema, "json", Buffer.from(`{"user":{"name":"${name}"}}`));
  expect(toJsonString(UpsertUserRequestSchema, message as never)).toBe(`{"user":{"name":"${name}"}}`);
});

test("a list that is too long is refused by its own name, and its items are not looked at", () => {
  const tags = Array.from({ length: 5_000 }, () => "");
  const message = create(UpsertUserRequestSchema, { user: { tags } });
  expect(check(UpsertUserRequestSchema, message).map(({ field: name }) => name)).toEqual(["user.tags"]);
  const tooMany = create(WatchPresenceRequestSchema, { refs: [...refs, ...refs] });
  expect(() => decode(WatchPresenceRequestSchema, "binary", toBinary(WatchPresenceRequestSchema, tooMany))).toThrow(
    MusterError,
  );
});

test("a message that breaks rules ten thousand times hears of twenty", () => {
  const message = create(WatchPresenceRequestSchema, { refs: refs.map(() => ({})) });
  expect(check(WatchPresenceRequestSchema, message)).toHaveLength(20);
});
