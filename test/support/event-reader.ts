import type { Client } from "@connectrpc/connect";
import type { Event } from "../../src/gen/muster/v1/event_pb.ts";
import type { EventService, WatchEventsResponse } from "../../src/gen/muster/v1/event_service_pb.ts";
import { reasonOf } from "./refusal.ts";

export interface WatchRequest {
  readonly cursor?: string;
  readonly types?: string[];
  readonly userId?: string;
  readonly fromOldest?: boolean;
}

/** A reader of events that accepts at once whatever comes. */
export class EventReader {
  readonly messages: WatchEventsResponse[] = [];
  /** The reason it ended for; `left` if it left itself. */
  readonly ended: Promise<string>;
  readonly #left = new AbortController();
  readonly #onMessage: () => void;

  constructor(client: Client<typeof EventService>, request: WatchRequest = {}, onMessage: () => void = () => {}) {
    this.#onMessage = onMessage;
    const run = this.#read(client.watchEvents(request, { signal: this.#left.signal }));
    this.ended = run.then(
      () => "no reason",
      () => (this.#left.signal.aborted ? "left" : reasonOf(run)),
    );
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

  leave(): void {
    this.#left.abort();
  }

  async #read(stream: AsyncIterable<WatchEventsResponse>): Promise<void> {
    for await (const message of stream) {
      this.messages.push(message);
      this.#onMessage();
    }
  }
}
