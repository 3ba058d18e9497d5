import { LockMode } from "@mikro-orm/core";
import { appendAudit, appendAuditSql } from "../../audit/append-audit.ts";
import { type RecordedStatement, recorded, type WriteScope, write } from "../../db/recorded.ts";
import { transaction } from "../../db/transaction.ts";
import { MusterError } from "../../errors.ts";
import { ProviderEntity } from "./provider.entity.ts";
import type { ProviderPorts } from "./provider-ports.ts";

/** Identities that are deleted by one statement. */
const BATCH = 5_000;

/**
 * Deletes a provider; `force`: with its identities. One that is not there is deleted already. PROVIDER_IN_USE where users have identities of
 * it. Where it is forced and the caller leaves, some of them may be gone while the provider stays.
 */
export async function deleteProvider(
  { db, clock, providers }: ProviderPorts,
  scope: WriteScope,
  { id, force }: { readonly id: string; readonly force: boolean },
): Promise<void> {
  const { projectId, act } = scope;
  if (force) await deleteIdentities({ db, clock }, scope, id);
  await transaction(db, scope, async (em) => {
    // Whoever links an identity meanwhile is waited for, or waits, and then finds no provider.
    const lock = { lockMode: LockMode.PESSIMISTIC_WRITE };
    if (!(await em.findOne(ProviderEntity, { projectId, id }, lock))) return;
    const used = "select 1 from identities where project_id = ? and provider_id = ? limit 1";
    if (!force && (await em.execute(used, [projectId, id])).length > 0) throw new MusterError("PROVIDER_IN_USE");
    const createTime = new Date(clock.now());
    const late = "delete from identities where project_id = ? and provider_id = ? returning user_id";
    for (const { user_id: userId } of (await em.execute(late, [projectId, id])) as { user_id: string }[])
      await appendAudit(em, act, { projectId, userId, target: `identity/${id}`, details: UNLINKED, createTime });
    await em.nativeDelete(ProviderEntity, { projectId, id });
    await appendAudit(em, act, { projectId, target: `provider/${id}`, details: { deleted: true }, createTime });
  });
  providers.forget(projectId, id);
}

const UNLINKED = { linked: false };

/** Deletes identities of a provider, with the entry of each: $1 project, $2 provider, $3 time. */
const DELETE_IDENTITIES: RecordedStatement = recorded({
  name: "identities_delete_of_provider",
  text: `
    with gone as (
      delete from identities where (project_id, provider_id, subject) in (
        select project_id, provider_id, subject from identities where project_id = $1 and provider_id = $2 limit ${BATCH})
      returning user_id, provider_id
    ), audit as (${appendAuditSql({
      from: "gone",
      projectId: "$1::uuid",
      userId: "gone.user_id",
      target: "'identity/' || gone.provider_id",
      details: `'${JSON.stringify(UNLINKED)}'::jsonb`,
      createTime: "$3::timestamptz",
    })})
    select count(*)::int as deleted from gone`,
});

/** All that there are now, in short transactions; those that are linked meanwhile go with the provider. */
async function deleteIdentities(
  { db, clock }: Pick<ProviderPorts, "db" | "clock">,
  scope: WriteScope,
  id: string,
): Promise<void> {
  for (let deleted = BATCH; deleted === BATCH; ) {
    const values = [scope.projectId, id, new Date(clock.now())];
    [{ deleted } = { deleted: 0 }] = await write<{ deleted: number }>(db, scope, DELETE_IDENTITIES, values);
  }
}
