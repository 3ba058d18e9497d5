import { appendAudit } from "../../audit/append-audit.ts";
import type { WriteScope } from "../../db/recorded.ts";
import { transaction } from "../../db/transaction.ts";
import { MusterError } from "../../errors.ts";
import { lockProject } from "../../projects/projects.ts";
import { checkConfig } from "./check-config.ts";
import { ProviderEntity } from "./provider.entity.ts";
import type { Provider, ProviderConfig } from "./provider.ts";
import type { ProviderPorts } from "./provider-ports.ts";
import { configColumns, providerOf } from "./provider-row.ts";

/** A provider as a caller gives it. */
export type NewProvider = Pick<Provider<ProviderConfig>, "id" | "displayName" | "disabled" | "config">;

/** The most that a project has: a list of them is one answer. */
const MOST = 50;

/** Makes a provider. REQUEST_INVALID for a configuration that cannot work, PROVIDER_TAKEN, PROVIDERS_FULL, PROJECT_NOT_FOUND. */
export async function createProvider(
  { db, clock, sealer, providers, egress }: ProviderPorts,
  scope: WriteScope,
  { id, displayName, disabled, config }: NewProvider,
): Promise<Provider> {
  checkConfig(config, egress);
  const { projectId, act } = scope;
  const made = await transaction(db, scope, async (em) => {
    // One at a time, so that they are counted right.
    await lockProject(em, projectId);
    const before = await em.findAll(ProviderEntity, { fields: ["id"] });
    if (before.some((it) => it.id === id)) throw new MusterError("PROVIDER_TAKEN");
    if (before.length >= MOST) throw new MusterError("PROVIDERS_FULL");
    const now = new Date(clock.now());
    const columns = { displayName, disabled, ...configColumns(sealer, projectId, id, config) };
    const row = em.create(ProviderEntity, { projectId, id, ...columns, createTime: now, updateTime: now });
    await em.persist(row).flush();
    await appendAudit(em, act, { projectId, target: `provider/${id}`, details: { created: true }, createTime: now });
    return providerOf(sealer, row);
  });
  providers.forget(projectId, id);
  return made;
}
