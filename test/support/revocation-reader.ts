import type { Client } from "@connectrpc/connect";
import type { Revocation } from "../../src/gen/muster/v1/revocation_pb.ts";
import type { TokenService, WatchRevocationsResponse } from "../../src/gen/muster/v1/token_service_pb.ts";
import { reasonOf } from "./refusal.ts";

/** A reader of revocations that accepts at once whatever comes. */
export class RevocationReader {
  readonly messages: WatchRevocationsResponse[] = [];
  /** The reason it ended for; `left` if it left itself. */
  readonly ended: Promise<string>;
  readonly #left = new AbortController();

  constructor(client: Client<typeof TokenService>, resumeToken: Uint8Array = new Uint8Array()) {
    const run = this.#read(
      client.watchRevocations({ resumeToken: new Uint8Array(resumeToken) }, { signal: this.#left.signal }),
    );
    this.ended = run.then(
      () => "no reason",
      () => (this.#left.signal.aborted ? "left" : reasonOf(run)),
    );
  }

  get kinds(): (string | undefined)[] {
    return this.messages.map(({ event }) => event.case);
  }

  get revocations(): Revocation[] {
    return this.messages.flatMap(({ event }) => (event.case === "revocation" ? [event.value] : []));
  }

  /** The ids of what ended, in the order it was told. */
  get subjects(): string[] {
    return this.revocations.map(({ subject }) => {
      if (subject.case === "user") return subject.value.userId;
      return subject.value ?? "";
    });
  }

  /** Where the last message says to go on from. */
  get resumeToken(): Uint8Array {
    return this.messages.at(-1)?.resumeToken ?? new Uint8Array();
  }

  leave(): void {
    this.#left.abort();
  }

  async #read(stream: AsyncIterable<WatchRevocationsResponse>): Promise<void> {
    for await (const message of stream) this.messages.push(message);
  }
}
