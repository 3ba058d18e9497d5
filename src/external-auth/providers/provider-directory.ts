import type { Clock } from "../../clock.ts";
import { createLastKnown } from "../../db/last-known.ts";
import type { Database } from "../../db/orm.ts";
import { read } from "../../db/transaction.ts";
import { MusterError } from "../../errors.ts";
import { LAST_KNOWN } from "../../projects/projects.ts";
import type { Sealer } from "../../sealing.ts";
import { ProviderEntity } from "./provider.entity.ts";
import type { Provider } from "./provider.ts";
import { providerOf } from "./provider-row.ts";

/** The providers as sign-ins need them. */
export interface ProviderDirectory {
  /** One that is not disabled, at most half a second old, so that a change is in force everywhere within a second. PROVIDER_NOT_FOUND. */
  get(projectId: string, id: string): Promise<Provider>;
  /** Makes this process read the provider anew. */
  forget(projectId: string, id: string): void;
}

/** Keeps providers as the settings of projects are kept. */
export function createProviderDirectory(db: Database, clock: Clock, sealer: Sealer): ProviderDirectory {
  const known = createLastKnown<Provider>({
    ...LAST_KNOWN,
    clock,
    async load(key) {
      const [projectId, id] = partsOf(key);
      const row = await read(db, { projectId }, (em) => em.findOne(ProviderEntity, { projectId, id }));
      return row ? providerOf(sealer, row) : undefined;
    },
  });
  return {
    async get(projectId, id) {
      const provider = await known.get(keyOf(projectId, id));
      if (!provider || provider.disabled) throw new MusterError("PROVIDER_NOT_FOUND");
      return provider;
    },
    forget: (projectId, id) => known.forget(keyOf(projectId, id)),
  };
}

/** The id of a project, a UUID, has no slash; that of a provider is what a caller says. */
const keyOf = (projectId: string, id: string): string => `${projectId}/${id}`;

function partsOf(key: string): [projectId: string, id: string] {
  const at = key.indexOf("/");
  return [key.slice(0, at), key.slice(at + 1)];
}
