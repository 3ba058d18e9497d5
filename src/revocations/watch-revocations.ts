import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import type { PageTokens } from "../page-tokens.ts";
import { PulledStream, type StreamNews, type StreamSignals } from "../pulled-stream.ts";
import type { RevocationFeed } from "./feed.ts";
import type { Revocation } from "./revocation.ts";
import { RevocationSource } from "./revocation-source.ts";

/** What a stream says of its own. */
export type RevocationNews =
  | { readonly kind: "revocation"; readonly revocation: Revocation }
  | { readonly kind: "snapshotComplete" };

/** What a stream says. */
export type RevocationEvent = RevocationNews | StreamNews;

/** One message of a stream. */
export interface RevocationMessage {
  /** Empty until there is where to go on from. */
  readonly resumeToken: Uint8Array;
  readonly event: RevocationEvent;
}

export interface WatchRevocationsPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly feed: RevocationFeed;
  readonly pageTokens: PageTokens;
}

export interface WatchRevocationsInput {
  readonly projectId: string;
  /** Empty: from the beginning. */
  readonly resumeToken: Uint8Array;
}

const HEARTBEAT_MS = 5_000;

/**
 * Streams what ends in a project: (revocation)* → snapshot complete → (revocation | heartbeat)* → goodbye, until a signal or the reader's
 * stalling ends it, or `return`. `next`: READER_STALLED, STORAGE_UNAVAILABLE, or the reason of the signal; before SHUTTING_DOWN it says
 * goodbye.
 */
export function watchRevocations(
  ports: WatchRevocationsPorts,
  input: WatchRevocationsInput,
  signals: StreamSignals,
): PulledStream<RevocationNews, RevocationMessage> {
  const open = (onNews: () => void) => new RevocationSource(ports, input, signals.left, onNews);
  return new PulledStream(ports.clock, HEARTBEAT_MS, signals, open);
}
