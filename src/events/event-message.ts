import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { EventSchema } from "../gen/muster/v1/event_pb.ts";
import type { WatchEventsResponseSchema } from "../gen/muster/v1/event_service_pb.ts";
import type { StoredEvent } from "./read-events.ts";
import type { EventNews, EventNewsMessage } from "./watch-events.ts";

type WatchInit = MessageInitShape<typeof WatchEventsResponseSchema>;

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

/** One message of a watch in its form on the wire. */
export const watchMessage = (projectId: string, { cursor, news }: EventNewsMessage): WatchInit => ({
  cursor,
  news: newsMessage(projectId, news),
});

function newsMessage(projectId: string, news: EventNews): NonNullable<WatchInit["news"]> {
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
