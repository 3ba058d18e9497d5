import type { DatabaseAddress } from "../db/orm.ts";
import type { MetricsSnapshot } from "../server.ts";

/** What the first process found out or made, on top of the environment, which every worker reads for itself. */
export interface WorkerOrder {
  readonly port: number;
  readonly database: DatabaseAddress;
  readonly operatorKey: string;
  readonly encryptionKeys: readonly Uint8Array[];
  /** The worker's share. */
  readonly maxConnections: number;
}

/** What the first process tells a worker. */
export type ToWorker =
  | { readonly type: "serve"; readonly order: WorkerOrder }
  | { readonly type: "drain" }
  /** Asks for its metrics, which another worker gathers. */
  | { readonly type: "measure"; readonly id: number }
  /** The metrics of all others that answered in time. */
  | { readonly type: "measured"; readonly id: number; readonly snapshots: readonly MetricsSnapshot[] };

/** What a worker tells the first process. */
export type FromWorker =
  /** It listens to messages from now on. */
  | { readonly type: "ready" }
  | { readonly type: "listening"; readonly url: string }
  | { readonly type: "gather"; readonly id: number }
  | { readonly type: "metrics"; readonly id: number; readonly snapshot: MetricsSnapshot };
