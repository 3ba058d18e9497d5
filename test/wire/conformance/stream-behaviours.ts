import { setTimeout as pause } from "node:timers/promises";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { MusterError } from "../../../src/errors.ts";
import { type PresenceService, WatchPresenceResponseSchema } from "../../../src/gen/muster/v1/presence_service_pb.ts";
import { BEHAVIOURS, type Behaviour, type BehaviourName, untilAborted, WRITE_MAX_BYTES } from "./behaviours.ts";

type Init = MessageInitShape<typeof WatchPresenceResponseSchema>;
/** What a service may answer with a stream. */
type StreamBehaviour = (context: HandlerContext) => AsyncIterable<Init>;

const TIME = timestampFromMs(1_700_000_000_000);

/** One message of a stream, which says `text` of the user that asks, in the twins, and of another. */
function telling(text: string, count = 2): Init {
  const presences = Array.from({ length: count }, (_, n) => ({
    ...{ userId: n === 0 ? "u" : `other-${n}`, externalId: "zoë", status: "online", message: text },
    ...{ sinceTime: TIME, lastActiveTime: TIME, revision: 2n ** 60n, step: n, metadata: { deep: { list: [n, null] } } },
  }));
  return {
    resumeToken: Uint8Array.of(1, 2, 255),
    serverTime: TIME,
    event: { case: "update", value: { presences } },
  };
}

const SAME = create(WatchPresenceResponseSchema, telling("for all"));

/** Answers that end by themselves. */
export const STREAM_BEHAVIOURS = {
  async *"says nothing"() {},
  async *"says three things"() {
    for (const text of ["one", "two", "three"]) yield telling(text);
  },
  async *"says all that there is to say"(): AsyncGenerator<Init> {
    yield { event: { case: "opened", value: { watchId: "w", resumed: true } } };
    yield { resumeToken: new Uint8Array(300), event: { case: "update", value: {} } };
    yield { serverTime: TIME, event: { case: "snapshotComplete", value: {} } };
    yield { event: { case: "heartbeat", value: { stale: true } } };
    yield { event: { case: "userDeleted", value: { userId: "u" } } };
    yield { event: { case: "resync", value: { reason: "ü" } } };
    yield { event: { case: "goodbye", value: { reconnectAfter: { seconds: 1n, nanos: 5 } } } };
    yield {};
  },
  async *"says finished messages"() {
    const same = create(WatchPresenceResponseSchema, telling("the same"));
    yield same;
    yield same;
  },
  /** Whoever asks, it is the same message. */
  async *"says one thing to all"() {
    yield SAME;
  },
  async *"takes its time"() {
    for (const text of ["one", "two"]) {
      await pause(5);
      yield telling(text);
    }
    await pause(5);
  },
  async *"fails after two"() {
    yield telling("one");
    yield telling("two");
    throw new MusterError("STORAGE_UNAVAILABLE", { retryAfterMs: 1_000 });
  },
  async *"fails unforeseen after one"() {
    yield telling("one");
    throw new Error("unforeseen");
  },
  async *"fails at length after one"() {
    yield telling("one");
    const violations = Array.from({ length: 400 }, (_, n) => ({ field: `user.tags[${n}]`, description: "is bad" }));
    throw new MusterError("REQUEST_INVALID", { violations });
  },
  async *"fails by an error of Connect after one"() {
    yield telling("one");
    throw new ConnectError("gone ü", Code.NotFound, { "x-told": "1", "grpc-status": "99", "content-type": "a/b" });
  },
  "fails before it begins": () => {
    throw new MusterError("USER_NOT_FOUND");
  },
  async *"sets headers and trailers on its way"({ responseHeader, responseTrailer }: HandlerContext) {
    responseHeader.set("x-one", "1");
    responseHeader.append("set-cookie", "a=1; Path=/");
    responseHeader.append("set-cookie", "b=2; Path=/");
    responseTrailer.append("x-many", "a");
    yield telling("one");
    responseHeader.set("x-late", "1");
    responseTrailer.append("x-many", "b");
    yield telling("two");
    responseTrailer.set("x-after", "2");
    responseTrailer.set("x-bytes-bin", "AAEC");
  },
  async *"sets trailers and fails after one"({ responseTrailer }: HandlerContext) {
    yield telling("one");
    responseTrailer.set("x-after", "2");
    throw new MusterError("USER_NOT_FOUND");
  },
  async *"says short things and long ones"() {
    yield telling("short");
    yield telling("long ".repeat(2_000));
    yield telling("x".repeat(3_900), 1);
    yield telling("short");
    yield telling("x".repeat(20_000));
  },
  async *"says much at once"() {
    for (let n = 0; n < 100; n++) yield telling("x".repeat(3_000));
  },
  async *"says too much after one"() {
    yield telling("one");
    yield telling("x".repeat(WRITE_MAX_BYTES));
    yield telling("never");
  },
  async *"says what cannot be written after one"() {
    yield telling("one");
    yield { event: { case: "update", value: { presences: [{ step: 1.5 }] } } };
  },
  async *"says something, and gives up when it is too late"({ signal }: HandlerContext) {
    yield telling("one");
    await untilAborted(signal);
  },
  async *"says something before it is too late and something after"() {
    yield telling("in time");
    await pause(60);
    yield telling("late");
    yield telling("later");
  },
  "is no generator": () => {
    let left = 2;
    const next = async () => (left-- > 0 ? { done: false, value: telling("one") } : { done: true, value: undefined });
    return { [Symbol.asyncIterator]: () => ({ next }) } as AsyncIterable<Init>;
  },
} as const satisfies Record<string, StreamBehaviour>;

export type StreamBehaviourName = keyof typeof STREAM_BEHAVIOURS;

/** Answers that end only when they are left. */
export const LASTING = [
  "lasts, without a word",
  "lasts, after two words",
  "lasts, and says more than is read",
] as const;

async function* lasting(context: HandlerContext, name: string, released: () => void): AsyncIterable<Init> {
  try {
    if (name === "lasts, without a word") await untilAborted(context.signal);
    yield telling("one");
    yield telling("two");
    if (name === "lasts, and says more than is read") for (;;) yield telling("x".repeat(10_000));
    await untilAborted(context.signal);
  } finally {
    released();
  }
}

/** Whether it is one that waits for something to happen by itself. */
export const waits = (name: string): boolean => name.includes("gives up");

/** A service that answers as it is asked to; `began` is called when it begins, `released` when a stream that lasts has let go of all. */
export const presencesOf = (began: () => void, released: () => void): Partial<ServiceImpl<typeof PresenceService>> => ({
  watchPresence({ refs }, context) {
    began();
    const name = String(refs[0]?.ref.value ?? "");
    const streams: Record<string, StreamBehaviour | undefined> = STREAM_BEHAVIOURS;
    if (name.startsWith("lasts")) return lasting(context, name, released);
    return streams[name]?.(context) ?? once(name as BehaviourName, context);
  },
});

/** Does as the unary calls do, and says what comes of it. */
async function* once(name: BehaviourName, context: HandlerContext): AsyncIterable<Init> {
  const behaviour: Behaviour = BEHAVIOURS[name] ?? BEHAVIOURS.answers;
  const answer = await behaviour(context);
  yield telling(answer.name ?? "");
}
