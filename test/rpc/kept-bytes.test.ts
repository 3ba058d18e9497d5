import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { type EffectivePresence, EffectivePresenceSchema } from "../../src/gen/muster/v1/presence_pb.ts";
import {
  ListPresenceResponseSchema,
  type WatchPresenceResponse,
  WatchPresenceResponseSchema,
} from "../../src/gen/muster/v1/presence_service_pb.ts";
import { createKeptBytes, ENVELOPE_HEAD, type WriteMessage } from "../../src/rpc/kept-bytes.ts";
import { createRandom, type Random } from "../support/random.ts";

const writerFor = createKeptBytes(new Set([EffectivePresenceSchema]));
const write = writerFor(WatchPresenceResponseSchema) as WriteMessage;

const written = (message: WatchPresenceResponse): Uint8Array | undefined => {
  const bytes = write(message);
  return bytes && Uint8Array.from(bytes.subarray(ENVELOPE_HEAD));
};
const byLibrary = (message: WatchPresenceResponse): Uint8Array =>
  Uint8Array.from(toBinary(WatchPresenceResponseSchema, message));

const presence = (init: MessageInitShape<typeof EffectivePresenceSchema>): EffectivePresence =>
  create(EffectivePresenceSchema, init);
const update = (...presences: EffectivePresence[]): WatchPresenceResponse =>
  create(WatchPresenceResponseSchema, { event: { case: "update", value: { presences } } });

function somePresence(random: Random): EffectivePresence {
  return presence({
    userId: "u".repeat(random(200)),
    ...(random(2) && { message: "ü".repeat(random(300)) }),
    ...(random(2) && { metadata: { list: [random(9), null, "x"] } }),
    ...(random(2) && { sinceTime: timestampFromMs(random(2 ** 31)) }),
    revision: BigInt(random(2 ** 31)),
    step: random(4),
  });
}

const EVENTS: readonly NonNullable<MessageInitShape<typeof WatchPresenceResponseSchema>["event"]>[] = [
  { case: undefined },
  { case: "opened", value: { watchId: "w", resumed: true } },
  { case: "snapshotComplete", value: {} },
  { case: "heartbeat", value: { stale: true } },
  { case: "userDeleted", value: { userId: "u" } },
  { case: "resync", value: { reason: "ü" } },
  { case: "goodbye", value: { reconnectAfter: { seconds: 3n, nanos: 1 } } },
];

test.for([1, 2, 3, 4, 5, 6])("what is put together is what the library writes, seed %i", (seed) => {
  const random = createRandom(seed);
  const known = Array.from({ length: 10 }, () => somePresence(random));
  for (let n = 0; n < 200; n++) {
    const presences = Array.from({ length: random(60) }, () => known[random(known.length)] ?? somePresence(random));
    const message = create(WatchPresenceResponseSchema, {
      ...(random(2) && { resumeToken: new Uint8Array(random(3_000)).fill(random(256)) }),
      ...(random(2) && { serverTime: timestampFromMs(random(2 ** 31)) }),
      event: random(2)
        ? { case: "update", value: { presences } }
        : (EVENTS[random(EVENTS.length)] ?? { case: undefined }),
    });
    expect(written(message)).toEqual(byLibrary(message));
  }
});

test("a message that was written may not change, so that nobody is told of what it was", () => {
  const told = presence({ userId: "u", status: "online" });
  written(update(told));
  expect(() => {
    told.status = "away";
  }).toThrow(TypeError);
});

test("a copy has bytes of its own", () => {
  const told = presence({ userId: "u", status: "online", lastActiveTime: timestampFromMs(1) });
  expect(written(update(told))).toEqual(byLibrary(update(told)));
  const copy = Object.assign(Object.create(Object.getPrototypeOf(told) as object), told) as EffectivePresence;
  delete copy.lastActiveTime;
  expect(written(update(copy))).toEqual(byLibrary(update(presence({ userId: "u", status: "online" }))));
  expect(written(update(told, copy))).toEqual(byLibrary(update(told, copy)));
});

test("what the library would refuse is left to it", () => {
  expect(() => write(update(presence({ step: 1.5 })))).toThrow(/step/);
  const token = { resumeToken: "text" as unknown as Uint8Array<ArrayBuffer> };
  expect(write(Object.assign(update(), token))).toBeUndefined();
  expect(write(create(ListPresenceResponseSchema) as never)).toBeUndefined();
});

test("fields that are not of the contract are left to the library", () => {
  const message = update(presence({ userId: "u" }));
  message.$unknown = [{ no: 99, wireType: 0, data: Uint8Array.of(1) }];
  expect(write(message)).toBeUndefined();
});

test("a type that is shared is written once as a whole, and a type without shared ones by the library", () => {
  const whole = createKeptBytes(new Set([WatchPresenceResponseSchema]))(WatchPresenceResponseSchema) as WriteMessage;
  const message = update(presence({ userId: "u" }));
  const bytes = whole(message);
  expect(bytes?.subarray(ENVELOPE_HEAD)).toEqual(Buffer.from(byLibrary(message)));
  expect(whole(message)).toBe(bytes);
  expect(createKeptBytes(new Set())(WatchPresenceResponseSchema)).toBeUndefined();
  // Its page token is text, which only the library writes.
  expect(writerFor(ListPresenceResponseSchema)).toBeUndefined();
});
