import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { EventService } from "../gen/muster/v1/event_service_pb.ts";
import { scopeOf } from "../rpc/caller.ts";
import { eventMessage, watchMessage } from "./event-message.ts";
import { eventTypesOf } from "./event-types.ts";
import { type ListEventsPorts, listEvents } from "./list-events.ts";
import type { EventFilter } from "./read-history.ts";
import { type WatchEventsPorts, watchEvents } from "./watch-events.ts";

/** Where open streams are kept, so that the server can end them. */
export interface StreamPort {
  /** Adds the stream of a call: its signal aborts when the server ends it. Disposed when the stream is over. */
  open(call: Pick<HandlerContext, "values">): Disposable & { readonly signal: AbortSignal };
}

export interface HistoryServicePorts extends ListEventsPorts, WatchEventsPorts {
  readonly streams: StreamPort;
}

/** The part of EventService that tells a project's history. */
type HistoryService = Pick<ServiceImpl<typeof EventService>, "listEvents" | "watchEvents">;

/** The RPCs that tell a project's history, over their use cases. */
export function historyService(ports: HistoryServicePorts): HistoryService {
  return {
    async listEvents({ pageSize, pageToken, ...request }, context) {
      const scope = scopeOf(context);
      const { events, ...rest } = await listEvents(ports, scope, { ...filterOf(request), pageSize, pageToken });
      return { events: events.map((event) => eventMessage(scope.projectId, event)), ...rest };
    },
    async *watchEvents({ cursor, fromOldest, ...request }, context) {
      using stream = ports.streams.open(context);
      // The end of the block alone does not do: it may never be reached where the reader leaves while the stream waits for it.
      context.signal.addEventListener("abort", () => stream[Symbol.dispose](), { once: true });
      const signals = { left: context.signal, ended: stream.signal };
      const { projectId } = scopeOf(context);
      const input = { ...filterOf(request), projectId, cursor, fromOldest };
      for await (const message of watchEvents(ports, input, signals)) yield watchMessage(projectId, message);
    },
  };
}

const filterOf = ({ types, userId }: { types: string[]; userId: string }): EventFilter => ({
  types: eventTypesOf(types),
  userId: userId || undefined,
});
