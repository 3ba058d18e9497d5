import { fromBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WatchPresenceResponseSchema } from "../../../src/gen/muster/v1/presence_service_pb.ts";
import { ENVELOPE_HEAD } from "../../../src/rpc/kept-bytes.ts";
import { BEHAVIOURS } from "./behaviours.ts";
import { draftOf, headerFor, requestOf, STREAM_CARRIERS } from "./carriers.ts";
import { type Pair, startPair } from "./compare.ts";
import { STREAM_BEHAVIOURS, waits } from "./stream-behaviours.ts";
import { testVariants } from "./test-variants.ts";
import { ACCESS_KEY, OTHER_TOKEN, USER_TOKEN } from "./twin-servers.ts";

let pair: Pair;
beforeAll(async () => {
  pair = await startPair();
});
afterAll(() => pair[Symbol.asyncDispose]());

const names = [...Object.keys(STREAM_BEHAVIOURS), ...Object.keys(BEHAVIOURS)].filter((name) => !waits(name));
const lateOnes = [...Object.keys(STREAM_BEHAVIOURS), ...Object.keys(BEHAVIOURS)].filter((name) => / late/.test(name));

describe.for(STREAM_CARRIERS)("$name: with and without the fast path", (carrier) => {
  test.for(names)("a service that %s is answered the same", async (name) => {
    const before = pair.taken;
    const answer = await pair.same(requestOf(draftOf(carrier, name)));
    expect(answer.status).toBe(200);
    expect(pair.taken - before).toBe(1);
  });

  test.for(names)("a service that %s is answered the same to a user that takes gzip", async (name) => {
    const draft = draftOf(carrier, name);
    const more = { authorization: `Bearer ${USER_TOKEN}`, [headerFor(carrier, "accept")]: "gzip" };
    const answer = await pair.same(requestOf({ ...draft, headers: { ...draft.headers, ...more } }));
    expect(answer.status).toBe(200);
  });

  test.for(lateOnes)("a service that %s is answered the same within a deadline", async (name) => {
    const draft = draftOf(carrier, name);
    const header = headerFor(carrier, "timeout");
    const headers = { ...draft.headers, [header]: header === "grpc-timeout" ? "30m" : "30" };
    const answer = await pair.same(requestOf({ ...draft, headers }));
    expect(answer.status).toBe(200);
  });

  testVariants(carrier, () => pair);
});

/** Of whose presences in the one message of an answer it is told when they were last active. */
function activeIn(body: string): string[] {
  const message = fromBinary(WatchPresenceResponseSchema, Buffer.from(body, "latin1").subarray(ENVELOPE_HEAD));
  const presences = message.event.case === "update" ? message.event.value.presences : [];
  return presences.filter(({ lastActiveTime }) => lastActiveTime).map(({ userId }) => userId);
}

const VIEWERS = { [ACCESS_KEY]: ["u", "other-1"], [USER_TOKEN]: ["u"], [OTHER_TOKEN]: ["other-1"] };
const viewers = Object.keys(VIEWERS) as (keyof typeof VIEWERS)[];
const orders = viewers.flatMap((first) => viewers.map((second) => [first, second, ...viewers, first]));

test.for(orders)("what one is told by a message for all another is not: %s, %s, …", async (order) => {
  const carrier = STREAM_CARRIERS.find(({ name }) => name === "a stream of application/grpc over HTTP/2");
  if (!carrier) throw new Error("there is no such carrier");
  const draft = draftOf(carrier, "says one thing to all");
  for (const viewer of order) {
    const headers = { ...draft.headers, authorization: `Bearer ${viewer}` };
    const { body } = await pair.same(requestOf({ ...draft, headers }));
    expect(activeIn(body)).toEqual(VIEWERS[viewer as keyof typeof VIEWERS]);
  }
});
