import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { EventService } from "../gen/muster/v1/event_service_pb.ts";
import { inForm } from "../pulled-stream.ts";
import { scopeOf } from "../rpc/caller.ts";
import { createWatchMessages, eventMessage } from "./event-message.ts";
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
  const watchMessage = createWatchMessages(ports.pageTokens);
  return {
    async listEvents({ pageSize, pageToken, ...request }, context) {
      const scope = scopeOf(context);
      const { events, ...rest } = await listEvents(ports, scope, { ...filterOf(request), pageSize, pageToken });
      return { events: events.map((event) => eventMessage(scope.projectId, event)), ...rest };
    },
    watchEvents({ cursor, fromOldest, ...request }, context) {
      const { projectId } = scopeOf(context);
      const input = { ...filterOf(request), projectId, cursor, fromOldest };
      const stream = ports.streams.open(context);
      const onOver = () => stream[Symbol.dispose]();
      const signals = { left: context.signal, ended: stream.signal, onOver };
      return inForm(watchEvents(ports, input, signals), (message) => watchMessage(projectId, message));
    },
  };
}

const filterOf = ({ types, userId }: { types: string[]; userId: string }): EventFilter => ({
  types: eventTypesOf(types),
  userId: userId || undefined,
});
