import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import type { Egress } from "../egress/egress.ts";
import type { NewId } from "../ids.ts";
import type { Sealer } from "../sealing.ts";

/** What the use cases of webhooks stand on. */
export interface WebhookPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly sealer: Sealer;
  readonly egress: Egress;
}
