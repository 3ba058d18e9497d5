import { createClient, type Transport } from "@connectrpc/connect";
import { PresenceService, type WatchPresenceResponse } from "../../src/gen/muster/v1/presence_service_pb.ts";

type WatchEvent = WatchPresenceResponse["event"];

/** An open watch. */
export interface OpenWatch {
  /** The next thing it says, heartbeats aside. Rejects with what the stream ends with. */
  next(): Promise<WatchEvent>;
}

/** Watches users until the snapshot is complete. */
export async function openWatch(
  transport: Transport,
  ids: readonly string[],
  signal?: AbortSignal,
): Promise<OpenWatch> {
  const refs = ids.map((value) => ({ ref: { case: "id" as const, value } }));
  const client = createClient(PresenceService, transport);
  const stream = client.watchPresence({ refs }, signal ? { signal } : {})[Symbol.asyncIterator]();
  const next = async (): Promise<WatchEvent> => {
    for (;;) {
      const { value, done } = await stream.next();
      if (done) throw new Error("the stream ended without a reason");
      if (value.event.case !== "heartbeat") return value.event;
    }
  };
  while ((await next()).case !== "snapshotComplete");
  return { next };
}
