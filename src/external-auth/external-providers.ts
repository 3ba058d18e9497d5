import { createProviderDirectory } from "./providers/provider-directory.ts";
import type { ProviderPorts } from "./providers/provider-ports.ts";

/** Makes what the RPCs about providers stand on. */
export function createExternalProviders(ports: Omit<ProviderPorts, "providers">): ProviderPorts {
  const { db, clock, sealer } = ports;
  return { ...ports, providers: createProviderDirectory(db, clock, sealer) };
}
