import { isDeepStrictEqual } from "node:util";
import { LockMode } from "@mikro-orm/core";
import { appendAudit } from "../../audit/append-audit.ts";
import type { WriteScope } from "../../db/recorded.ts";
import { transaction } from "../../db/transaction.ts";
import { authorityOf } from "../../egress/check-url.ts";
import { invalid, MusterError } from "../../errors.ts";
import { checkConfig } from "./check-config.ts";
import { ProviderEntity } from "./provider.entity.ts";
import { type HttpConfig, type Provider, type ProviderConfig, WITHHELD } from "./provider.ts";
import type { ProviderPorts } from "./provider-ports.ts";
import { configColumns, providerOf } from "./provider-row.ts";
import { headerOf } from "./request-form.ts";

/** What to change; undefined: it stays. */
export interface ProviderChange {
  readonly displayName: string | undefined;
  readonly disabled: boolean | undefined;
  /** Takes the place of the whole one there was. */
  readonly config: ProviderConfig | undefined;
}

/** Changes a provider; where all is as it was nothing is written. PROVIDER_NOT_FOUND, REQUEST_INVALID for a configuration that cannot work or is of another kind. */
export async function updateProvider(
  { db, clock, sealer, providers, egress }: ProviderPorts,
  scope: WriteScope,
  id: string,
  change: ProviderChange,
): Promise<Provider> {
  const { projectId, act } = scope;
  const updated = await transaction(db, scope, async (em) => {
    const lock = { lockMode: LockMode.PESSIMISTIC_WRITE };
    const row = await em.findOne(ProviderEntity, { projectId, id }, lock);
    if (!row) throw new MusterError("PROVIDER_NOT_FOUND");
    const before = providerOf(sealer, row);
    const { displayName = row.displayName, disabled = row.disabled } = change;
    const config = change.config ? completed(change.config, before.config) : before.config;
    if (change.config) checkConfig(config, egress);
    const changed = changedFields(before, { displayName, disabled, config });
    if (changed.length === 0) return before;
    // Sealed anew only where it changes.
    if (changed.includes("config")) Object.assign(row, configColumns(sealer, projectId, id, config));
    const now = new Date(clock.now());
    Object.assign(row, { displayName, disabled, updateTime: now });
    await em.flush();
    await appendAudit(em, act, { projectId, target: `provider/${id}`, details: { changed }, createTime: now });
    return providerOf(sealer, row);
  });
  providers.forget(projectId, id);
  return updated;
}

type Changeable = Pick<Provider<ProviderConfig>, "displayName" | "disabled" | "config">;

/** What is another than it was, by the names it has on the wire. */
function changedFields(before: Changeable, after: Changeable): string[] {
  const names = { displayName: "display_name", disabled: "disabled", config: "config" } as const;
  return (Object.keys(names) as (keyof Changeable)[])
    .filter((name) => !isDeepStrictEqual(before[name], after[name]))
    .map((name) => names[name]);
}

/** The configuration with the headers' values that the caller was not told. */
function completed(config: ProviderConfig, before: ProviderConfig): ProviderConfig {
  if (config.kind !== before.kind)
    throw invalid(`provider.${config.kind.toLowerCase()}`, `the provider is of the kind ${before.kind.toLowerCase()}`);
  return config.kind === "HTTP" && before.kind === "HTTP" ? withSecrets(config, before) : config;
}

/** What was given for one host goes to no other: a secret that nobody is told must not be told by sending it elsewhere. */
function withSecrets(config: HttpConfig, before: HttpConfig): HttpConfig {
  const isSameHost = authorityOf(config.url) === authorityOf(before.url);
  const headers = Object.entries(config.headers).map(([name, value]) => {
    const kept = headerOf(before.headers, name.toLowerCase());
    if (value !== WITHHELD || kept === undefined) return [name, value];
    if (!isSameHost)
      throw invalid(`provider.http.headers["${name}"]`, "must be given again where the host of the url changes");
    return [name, kept];
  });
  return { ...config, headers: Object.fromEntries(headers) };
}
