import type { Client } from "@connectrpc/connect";
import type { Revocation } from "../../src/gen/muster/v1/revocation_pb.ts";
import type { TokenService, WatchRevocationsResponse } from "../../src/gen/muster/v1/token_service_pb.ts";
import { StreamReader } from "./stream-reader.ts";

/** A reader of revocations. */
export class RevocationReader extends StreamReader<WatchRevocationsResponse> {
  constructor(client: Client<typeof TokenService>, resumeToken: Uint8Array = new Uint8Array()) {
    super((options) => client.watchRevocations({ resumeToken: new Uint8Array(resumeToken) }, options));
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
}
