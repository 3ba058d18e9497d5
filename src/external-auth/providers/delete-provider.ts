import { transaction } from "../../db/transaction.ts";
import type { ProjectScope } from "../../users/users.ts";
import { ProviderEntity } from "./provider.entity.ts";
import type { ProviderPorts } from "./provider-ports.ts";

/** Deletes a provider. One that is not there is deleted already. */
export async function deleteProvider({ db, providers }: ProviderPorts, scope: ProjectScope, id: string): Promise<void> {
  const { projectId } = scope;
  await transaction(db, scope, (em) => em.nativeDelete(ProviderEntity, { projectId, id }));
  providers.forget(projectId, id);
}
