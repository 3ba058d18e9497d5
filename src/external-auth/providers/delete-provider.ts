import { LockMode } from "@mikro-orm/core";
import { transaction } from "../../db/transaction.ts";
import { MusterError } from "../../errors.ts";
import type { ProjectScope } from "../../users/users.ts";
import { ProviderEntity } from "./provider.entity.ts";
import type { ProviderPorts } from "./provider-ports.ts";

/** Identities that are deleted by one statement. */
const BATCH = 5_000;

/**
 * Deletes a provider; `force`: with its identities. One that is not there is deleted already. PROVIDER_IN_USE where users have identities of
 * it. Where it is forced and the caller leaves, some of them may be gone while the provider stays.
 */
export async function deleteProvider(
  { db, providers }: ProviderPorts,
  scope: ProjectScope,
  { id, force }: { readonly id: string; readonly force: boolean },
): Promise<void> {
  const { projectId } = scope;
  if (force) await deleteIdentities({ db }, scope, id);
  await transaction(db, scope, async (em) => {
    // Whoever links an identity meanwhile is waited for, or waits, and then finds no provider.
    const lock = { lockMode: LockMode.PESSIMISTIC_WRITE };
    if (!(await em.findOne(ProviderEntity, { projectId, id }, lock))) return;
    const used = "select 1 from identities where project_id = ? and provider_id = ? limit 1";
    if (!force && (await em.execute(used, [projectId, id])).length > 0) throw new MusterError("PROVIDER_IN_USE");
    await em.nativeDelete(ProviderEntity, { projectId, id });
  });
  providers.forget(projectId, id);
}

/** All that there are now, in short transactions; those that are linked meanwhile go with the provider. */
async function deleteIdentities({ db }: Pick<ProviderPorts, "db">, scope: ProjectScope, id: string): Promise<void> {
  const text = `delete from identities where (project_id, provider_id, subject) in (
    select project_id, provider_id, subject from identities where project_id = ? and provider_id = ? limit ${BATCH})
    returning 1`;
  for (let deleted = BATCH; deleted === BATCH; )
    deleted = (await transaction(db, scope, (em) => em.execute(text, [scope.projectId, id]))).length;
}
