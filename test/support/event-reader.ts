import type { Client } from "@connectrpc/connect";
import type { Event } from "../../src/gen/muster/v1/event_pb.ts";
import type { EventService, WatchEventsResponse } from "../../src/gen/muster/v1/event_service_pb.ts";
import { StreamReader } from "./stream-reader.ts";

export interface WatchRequest {
  readonly cursor?: string;
  readonly types?: string[];
  readonly userId?: string;
  readonly fromOldest?: boolean;
}

/** A reader of events. */
export class EventReader extends StreamReader<WatchEventsResponse> {
  constructor(client: Client<typeof EventService>, request: WatchRequest = {}, onMessage?: () => void) {
    super((options) => client.watchEvents(request, options), onMessage);
  }

  get kinds(): (string | undefined)[] {
    return this.messages.map(({ news }) => news.case);
  }

  get events(): Event[] {
    return this.messages.flatMap(({ news }) => (news.case === "event" ? [news.value] : []));
  }

  /** Where the last message says to go on from. */
  get cursor(): string {
    return this.messages.at(-1)?.cursor ?? "";
  }
}
