import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate, timestampMs } from "@bufbuild/protobuf/wkt";
import { invalid } from "../errors.ts";
import { DeliveryFailure, type DeliverySchema, DeliveryState } from "../gen/muster/v1/delivery_pb.ts";
import type { EventRange, RedeliverEventRequest } from "../gen/muster/v1/event_service_pb.ts";
import type { DeliveryState as DeliveryStateName } from "./deliveries/delivery.ts";
import type { Delivery } from "./deliveries/list-deliveries.ts";
import type { RedeliverInput } from "./deliveries/redeliver-event.ts";

/** A delivery as it goes on the wire. */
export const deliveryMessage = (delivery: Delivery): MessageInitShape<typeof DeliverySchema> => ({
  webhookId: delivery.webhookId,
  eventId: delivery.eventId,
  eventType: delivery.eventType,
  userId: delivery.userId ?? "",
  state: DeliveryState[delivery.state],
  failure: DeliveryFailure[delivery.failure ?? "UNSPECIFIED"],
  attempts: delivery.attempts.map(({ time, status = 0, error = "", duration_ms }) => ({
    time: timestampFromDate(new Date(time)),
    statusCode: status,
    error,
    duration: durationFromMs(duration_ms),
  })),
  ...(delivery.nextAttemptTime && { nextAttemptTime: timestampFromDate(delivery.nextAttemptTime) }),
  createTime: timestampFromDate(delivery.createTime),
  ...(delivery.completeTime && { completeTime: timestampFromDate(delivery.completeTime) }),
});

const STATES: Readonly<Record<DeliveryState, DeliveryStateName | undefined>> = {
  [DeliveryState.UNSPECIFIED]: undefined,
  [DeliveryState.PENDING]: "PENDING",
  [DeliveryState.SUCCEEDED]: "SUCCEEDED",
  [DeliveryState.FAILED]: "FAILED",
};

/** The state that is asked for; undefined: any. */
export const stateOf = (state: DeliveryState) => STATES[state];

/** What is to be delivered again. A request without was refused before. REQUEST_INVALID for a page token where one event is meant. */
export function redeliveryOf({ webhookId, which, pageToken }: RedeliverEventRequest): RedeliverInput {
  if (which.case === "range") return { webhookId, which: rangeOf(which.value), pageToken };
  if (pageToken !== "") throw invalid("page_token", "goes with a range");
  return { webhookId, which: which.value ?? "", pageToken };
}

const LAST_MS = Date.UTC(9999, 11, 31);

function rangeOf({ fromTime, toTime, types, onlyUndelivered }: EventRange) {
  const fromMs = fromTime ? timestampMs(fromTime) : 0;
  const toMs = toTime ? timestampMs(toTime) : LAST_MS;
  if (toMs <= fromMs) throw invalid("range.to_time", "must be after from_time");
  return { fromMs, toMs, types, onlyUndelivered };
}
