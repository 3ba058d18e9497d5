import type { ServiceImpl } from "@connectrpc/connect";
import type { EventService } from "../gen/muster/v1/event_service_pb.ts";
import { scopeOf } from "../rpc/caller.ts";
import { type ListDeliveriesPorts, listDeliveries } from "./deliveries/list-deliveries.ts";
import { type RedeliverPorts, redeliverEvent } from "./deliveries/redeliver-event.ts";
import { deliveryMessage, redeliveryOf, stateOf } from "./delivery-message.ts";

/** The part of EventService that is about deliveries, over their use cases. */
export function deliveryService(
  ports: ListDeliveriesPorts & RedeliverPorts,
): Pick<ServiceImpl<typeof EventService>, "listDeliveries" | "redeliverEvent"> {
  return {
    async listDeliveries({ webhookId, eventId, state, pageSize, pageToken }, context) {
      const input = { webhookId, eventId: eventId || undefined, state: stateOf(state), pageSize, pageToken };
      const { deliveries, nextPageToken } = await listDeliveries(ports, scopeOf(context), input);
      return { deliveries: deliveries.map(deliveryMessage), nextPageToken };
    },
    redeliverEvent: (request, context) => redeliverEvent(ports, scopeOf(context), redeliveryOf(request)),
  };
}
