import { create } from "@bufbuild/protobuf";
import { timestampFromDate, timestampMs } from "@bufbuild/protobuf/wkt";
import { type Suspension as SuspensionMessage, SuspensionSchema } from "../gen/muster/v1/suspension_pb.ts";
import type { NewSuspension } from "./suspend-user.ts";
import type { Suspension } from "./user.entity.ts";

/** A suspension as it goes on the wire. */
export const suspensionMessage = (suspension: Suspension): SuspensionMessage =>
  create(SuspensionSchema, {
    id: suspension.id,
    reason: suspension.reason,
    startTime: timestampFromDate(new Date(suspension.start_time)),
    ...(suspension.end_time !== undefined && { endTime: timestampFromDate(new Date(suspension.end_time)) }),
    blocksSignIn: suspension.blocks_sign_in,
  });

/** The suspension a request gives. */
export const suspensionOf = (message: SuspensionMessage | undefined): NewSuspension => ({
  reason: message?.reason ?? "",
  startAt: message?.startTime && timestampMs(message.startTime),
  endAt: message?.endTime && timestampMs(message.endTime),
  blocksSignIn: message?.blocksSignIn ?? false,
});
