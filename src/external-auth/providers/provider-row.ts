import type { SealedColumn } from "../../db/sealed-column.ts";
import type { Sealer } from "../../sealing.ts";
import type { ProviderEntity } from "./provider.entity.ts";
import type { Provider, ProviderConfig, ProviderHeaders } from "./provider.ts";

const sealContext = (projectId: string, id: string) => ({ purpose: "provider-headers", projectId, id }) as const;

export const SEALED_PROVIDER_HEADERS: SealedColumn = {
  table: "providers",
  column: "sealed_headers",
  key: ["project_id", "id"],
  contextOf: ({ project_id: projectId = "", id = "" }) => sealContext(projectId, id),
};

/** The columns a configuration is kept in. */
export function configColumns(sealer: Sealer, projectId: string, id: string, given: ProviderConfig) {
  if (given.kind !== "HTTP") {
    const { kind, ...config } = given;
    return { kind, config, sealedHeaders: null };
  }
  const { kind, headers, ...config } = given;
  const secret = Buffer.from(JSON.stringify(headers));
  const isSealed = Object.keys(headers).length > 0;
  return { kind, config, sealedHeaders: isSealed ? sealer.seal(secret, sealContext(projectId, id)) : null };
}

/** The provider a row is of. */
export function providerOf(sealer: Sealer, row: ProviderEntity): Provider {
  const { projectId, id, displayName, disabled, createTime, updateTime } = row;
  return { projectId, id, displayName, disabled, config: openConfig(sealer, row), createTime, updateTime };
}

function openConfig(sealer: Sealer, { projectId, id, kind, config, sealedHeaders }: ProviderEntity): ProviderConfig {
  if (kind !== "HTTP") return { kind, ...config } as ProviderConfig;
  const opened = sealedHeaders ? sealer.open(sealedHeaders, sealContext(projectId, id)).toString() : "{}";
  return { kind, ...config, headers: JSON.parse(opened) as ProviderHeaders } as ProviderConfig;
}
