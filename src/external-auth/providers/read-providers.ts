import { read } from "../../db/transaction.ts";
import { MusterError } from "../../errors.ts";
import type { ProjectScope } from "../../users/users.ts";
import { ProviderEntity } from "./provider.entity.ts";
import type { Provider } from "./provider.ts";
import type { ProviderPorts } from "./provider-ports.ts";
import { providerOf } from "./provider-row.ts";

type Reading = Pick<ProviderPorts, "db" | "sealer">;

/** The provider, also one that is disabled. PROVIDER_NOT_FOUND. */
export async function getProvider({ db, sealer }: Reading, scope: ProjectScope, id: string): Promise<Provider> {
  const { projectId } = scope;
  const row = await read(db, scope, (em) => em.findOne(ProviderEntity, { projectId, id }));
  if (!row) throw new MusterError("PROVIDER_NOT_FOUND");
  return providerOf(sealer, row);
}

/** All of a project, by id. */
export async function listProviders({ db, sealer }: Reading, scope: ProjectScope): Promise<Provider[]> {
  const { projectId } = scope;
  const rows = await read(db, scope, (em) => em.find(ProviderEntity, { projectId }, { orderBy: { id: "asc" } }));
  return rows.map((row) => providerOf(sealer, row));
}
