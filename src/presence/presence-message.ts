import type { MessageInitShape } from "@bufbuild/protobuf";
import { create, type JsonObject } from "@bufbuild/protobuf";
import {
  type Duration,
  durationFromMs,
  type Timestamp,
  TimestampSchema,
  timestampFromMs,
} from "@bufbuild/protobuf/wkt";
import { type EffectivePresence, EffectivePresenceSchema, type Presence } from "../gen/muster/v1/presence_pb.ts";
import {
  type CountPresenceResponseSchema,
  type WatchPresenceResponse,
  WatchPresenceResponseSchema,
} from "../gen/muster/v1/presence_service_pb.ts";
import { MAX_STEPS, type Micros, type Step } from "./chain.ts";
import type { PresenceCounts } from "./count-presence.ts";
import type { UserPresence } from "./user-presence.ts";
import type { WatchEvent, WatchMessage } from "./watch-event.ts";

/** The links of a nested message, in order: one more than are allowed at most, for the chain to refuse. */
export function stepsOf(message: Presence | undefined): Step[] {
  const steps: Step[] = [];
  for (let link = message; link && steps.length <= MAX_STEPS; link = link.expiresTo) {
    const { status, message: line, metadata, ttl } = link;
    steps.push({
      status,
      ...(line !== "" && { message: line }),
      ...(metadata && Object.keys(metadata).length > 0 && { metadata }),
      ...(ttl && { ttl: microsOf(ttl) }),
    });
  }
  return steps;
}

/** A presence in its form on the wire: times to the microsecond, and no field for what is not known. */
export function presenceMessage(presence: UserPresence): MessageInitShape<typeof EffectivePresenceSchema> {
  const { userId, externalId, status, message, metadata, since, until, nextStatus, revision, step, lastActiveAt } =
    presence;
  return {
    userId,
    externalId,
    status,
    step,
    revision: BigInt(revision),
    ...(message !== undefined && { message }),
    ...(metadata && { metadata: metadata as JsonObject }),
    ...(since !== undefined && { sinceTime: timestampOf(since) }),
    ...(until !== undefined && { untilTime: timestampOf(until) }),
    ...(nextStatus !== undefined && { nextStatus }),
    ...(lastActiveAt !== undefined && { lastActiveTime: timestampFromMs(lastActiveAt) }),
  };
}

/** The most statuses that a count names. */
const MOST_COUNTED = 100;

/** A count in its form on the wire. */
export function countMessage({ counts, time }: PresenceCounts): MessageInitShape<typeof CountPresenceResponseSchema> {
  const all = [...counts];
  const total = all.reduce((sum, [, count]) => sum + count, 0);
  return {
    counts: all.slice(0, MOST_COUNTED).map(([status, count]) => ({ status, count: BigInt(count) })),
    total: BigInt(total),
    countTime: timestampOf(time),
  };
}

/** Messages of watches in their form on the wire. */
export type WatchMessages = (message: WatchMessage) => WatchPresenceResponse;

/**
 * A presence that many are told of is one message for all of them: made once, and for what sends it the same thing again. Nobody may
 * change it.
 */
export function createWatchMessages(): WatchMessages {
  const shared = new WeakMap<UserPresence, EffectivePresence>();
  const presenceOf = (presence: UserPresence): EffectivePresence => {
    let message = shared.get(presence);
    if (!message) shared.set(presence, (message = create(EffectivePresenceSchema, presenceMessage(presence))));
    return message;
  };
  return ({ resumeToken, serverTime, event }) =>
    create(WatchPresenceResponseSchema, {
      resumeToken,
      ...(serverTime !== undefined && { serverTime: timestampOf(serverTime) }),
      event: eventMessage(event, presenceOf),
    });
}

type NewsOf = NonNullable<MessageInitShape<typeof WatchPresenceResponseSchema>["event"]>;

function eventMessage(event: WatchEvent, presenceOf: (presence: UserPresence) => EffectivePresence): NewsOf {
  switch (event.kind) {
    case "opened":
      return { case: "opened", value: { watchId: event.watchId, resumed: event.resumed } };
    case "update":
      return { case: "update", value: { presences: event.presences.map(presenceOf) } };
    case "snapshotComplete":
      return { case: "snapshotComplete", value: {} };
    case "heartbeat":
      return { case: "heartbeat", value: { stale: event.stale } };
    case "userDeleted":
      return { case: "userDeleted", value: { userId: event.userId } };
    case "resync":
      return { case: "resync", value: { reason: event.why } };
    case "goodbye":
      return { case: "goodbye", value: { reconnectAfter: durationFromMs(event.reconnectAfterMs) } };
  }
}

/** Whole microseconds: what is finer is cut off. */
const microsOf = ({ seconds, nanos }: Duration): Micros => Number(seconds) * 1_000_000 + Math.floor(nanos / 1_000);

const timestampOf = (time: Micros): Timestamp =>
  create(TimestampSchema, { seconds: BigInt(Math.floor(time / 1_000_000)), nanos: (time % 1_000_000) * 1_000 });
