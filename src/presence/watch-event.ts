import type { Micros } from "./chain.ts";
import type { UserPresence } from "./user-presence.ts";

/** What a stream says. */
export type WatchEvent =
  | { readonly kind: "opened"; readonly watchId: string; readonly resumed: boolean }
  | { readonly kind: "update"; readonly presences: readonly UserPresence[] }
  | { readonly kind: "snapshotComplete" }
  | { readonly kind: "heartbeat"; readonly stale: boolean }
  | { readonly kind: "userDeleted"; readonly userId: string }
  | { readonly kind: "resync"; readonly why: string }
  | { readonly kind: "goodbye"; readonly reconnectAfterMs: number };

/** One message of a stream. */
export interface WatchMessage {
  /** Where another stream can go on from once this message is read; empty until the snapshot is complete. */
  readonly resumeToken: Uint8Array;
  /** The engine's clock; unset only before anything was read. */
  readonly serverTime: Micros | undefined;
  readonly event: WatchEvent;
}
