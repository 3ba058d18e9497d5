import { create, type JsonObject, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { EventSchema } from "../gen/muster/v1/event_pb.ts";
import { type WatchEventsResponse, WatchEventsResponseSchema } from "../gen/muster/v1/event_service_pb.ts";
import type { PageTokens } from "../page-tokens.ts";
import { createEventCursor } from "./event-cursor.ts";
import type { StoredEvent } from "./read-events.ts";
import type { EventNewsMessage } from "./watch-events.ts";

type News = NonNullable<MessageInitShape<typeof WatchEventsResponseSchema>["news"]>;

/** An event of a project in its form on the wire. */
export const eventMessage = (
  projectId: string,
  { id, type, userId, data, origin, createTime }: StoredEvent,
): MessageInitShape<typeof EventSchema> => ({
  id,
  type,
  projectId,
  createTime: timestampFromDate(createTime),
  userId: userId ?? "",
  data: data as JsonObject,
  origin: origin ?? "",
});

/** Messages of watches in their form on the wire. */
export type WatchMessages = (projectId: string, message: EventNewsMessage) => WatchEventsResponse;

/**
 * An event that many are told of, of one tail, is one message for all of them: made once, and for what sends it the same thing again. Nobody
 * may change it.
 */
export function createWatchMessages(pageTokens: PageTokens): WatchMessages {
  const shared = new WeakMap<StoredEvent, WatchEventsResponse>();
  return (projectId, { position, news }) => {
    const made = news.kind === "event" ? shared.get(news.event) : undefined;
    if (made) return made;
    const cursor = position ? createEventCursor(pageTokens, projectId, position) : "";
    const message = create(WatchEventsResponseSchema, { cursor, news: newsMessage(projectId, news) });
    if (news.kind === "event") shared.set(news.event, message);
    return message;
  };
}

function newsMessage(projectId: string, news: EventNewsMessage["news"]): News {
  switch (news.kind) {
    case "event":
      return { case: "event", value: eventMessage(projectId, news.event) };
    case "snapshotComplete":
      return { case: "snapshotComplete", value: {} };
    case "heartbeat":
      return { case: "heartbeat", value: { stale: news.stale } };
    case "goodbye":
      return { case: "goodbye", value: { reconnectAfter: durationFromMs(news.reconnectAfterMs) } };
  }
}
