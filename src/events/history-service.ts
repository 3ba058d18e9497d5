import type { ServiceImpl } from "@connectrpc/connect";
import type { EventService } from "../gen/muster/v1/event_service_pb.ts";
import { scopeOf } from "../rpc/caller.ts";
import { eventMessage } from "./event-message.ts";
import { eventTypesOf } from "./event-types.ts";
import { type ListEventsPorts, listEvents } from "./list-events.ts";

/** What of EventService reads a project's history. */
export function historyService(ports: ListEventsPorts): Pick<ServiceImpl<typeof EventService>, "listEvents"> {
  return {
    async listEvents({ types, userId, pageSize, pageToken }, context) {
      const scope = scopeOf(context);
      const input = { types: eventTypesOf(types), userId: userId || undefined, pageSize, pageToken };
      const { events, ...rest } = await listEvents(ports, scope, input);
      return { events: events.map((event) => eventMessage(scope.projectId, event)), ...rest };
    },
  };
}
