import type { Clock } from "../../clock.ts";
import type { Database } from "../../db/orm.ts";
import type { Egress } from "../../egress/egress.ts";
import type { Sealer } from "../../sealing.ts";
import type { ProviderDirectory } from "./provider-directory.ts";

/** What the use cases of providers stand on. */
export interface ProviderPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly sealer: Sealer;
  readonly providers: ProviderDirectory;
  readonly egress: Egress;
}
