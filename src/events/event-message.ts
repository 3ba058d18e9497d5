import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { EventSchema } from "../gen/muster/v1/event_pb.ts";
import type { StoredEvent } from "./read-events.ts";

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
